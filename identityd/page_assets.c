/* The files of identityd/pages/, built into the program by the assembler. */
#include "page.h"

#define ASSET(name, path)                                                                                                      \
	__asm__(".pushsection .rodata, \"a\"\n"                                                                                \
		".balign 8\n"                                                                                                  \
		".global page_asset_" #name "_size\n"                                                                          \
		"page_asset_" #name "_size:\n"                                                                                 \
		".quad 2f - 1f\n"                                                                                              \
		".global page_asset_" #name "_bytes\n"                                                                         \
		"page_asset_" #name "_bytes:\n"                                                                                \
		"1:\n"                                                                                                         \
		".incbin \"" path "\"\n"                                                                                       \
		"2:\n"                                                                                                         \
		".byte 0\n"                                                                                                    \
		".popsection\n");                                                                                              \
	extern const uint64_t page_asset_##name##_size;                                                                        \
	extern const char page_asset_##name##_bytes[];                                                                         \
	struct str page_asset_##name(void)                                                                                     \
	{                                                                                                                      \
		return str_of(page_asset_##name##_bytes, (size_t)page_asset_##name##_size);                                    \
	}

ASSET(style, "identityd/pages/login.css")
ASSET(icon, "identityd/pages/login.svg")
ASSET(script, "identityd/pages/login.js")
