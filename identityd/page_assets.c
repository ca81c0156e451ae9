/* The files of identityd/pages/, built into the program by the assembler. */
#include "page.h"

#define ASSET(name, path)                                                                                                      \
	__asm__(".pushsection .rodata, \"a\"\n"                                                                                \
		".global page_asset_" #name "_begin\n"                                                                         \
		".global page_asset_" #name "_end\n"                                                                           \
		"page_asset_" #name "_begin:\n"                                                                                \
		".incbin \"" path "\"\n"                                                                                       \
		"page_asset_" #name "_end:\n"                                                                                  \
		".byte 0\n"                                                                                                    \
		".popsection\n");                                                                                              \
	extern const char page_asset_##name##_begin[], page_asset_##name##_end[];                                              \
	struct str page_asset_##name(void)                                                                                     \
	{                                                                                                                      \
		return str_of(page_asset_##name##_begin, (size_t)(page_asset_##name##_end - page_asset_##name##_begin));       \
	}

ASSET(style, "identityd/pages/login.css")
ASSET(icon, "identityd/pages/login.svg")
ASSET(script, "identityd/pages/login.js")
