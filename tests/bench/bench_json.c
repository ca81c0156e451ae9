/* What the JSON room costs on the heartbeat's path (parse, read, canonicalise) and for a page of the node list. Prints the best of several rounds, in microseconds. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "json/fields.h"
#include "wire/mesh.h"

#define SERVICE(type) "{\"type\":\"" type "\",\"healthy\":true,\"lastCheck\":1767225600000}"
#define SIGNATURE_HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char heartbeat[] =
	"{\"nodeId\":\"validator-1\",\"timestamp\":1767225600000,\"tailscaleIP\":\"100.64.0.1\",\"services\":[" SERVICE("mesh") "," SERVICE("t4") ","
	SERVICE("ledger") "," SERVICE("identity") "],\"height\":123456,\"version\":\"0.1.0\",\"signed\":\"full\","
	"\"signature\":\"ed25519_sig_" SIGNATURE_HEX SIGNATURE_HEX "\"}";

enum { ROUNDS = 7, REPEATS = 50000, PAGE_REPEATS = 500, PAGE_NODES = 100, NODE_SERVICES = 4 };

static void parse(struct arena *a)
{
	struct error err;
	(void)a;
	struct json_doc *d = json_parse_object(str_of(heartbeat, sizeof heartbeat - 1), &err);
	invariant(d);
	json_doc_free(d);
}

static void parse_read(struct arena *a)
{
	struct error err;
	struct mesh_heartbeat h;
	invariant(json_read_text(str_of(heartbeat, sizeof heartbeat - 1), &mesh_heartbeat_message, &h, a, &err));
}

static void parse_read_canonicalise(struct arena *a)
{
	struct error err;
	struct mesh_heartbeat h;
	struct buf out = {0};
	struct json_doc *d = json_parse_object(str_of(heartbeat, sizeof heartbeat - 1), &err);
	invariant(d && json_read(d, &mesh_heartbeat_message, &h, a, &err) && json_canonicalise(d, "signature", &out, &err));
	json_doc_free(d);
	buf_free(&out);
}

static struct mesh_node_list page;
static struct buf page_text;

static void make_page(struct arena *a)
{
	static const char *const types[NODE_SERVICES] = {"mesh", "t4", "ledger", "identity"};
	struct mesh_node *nodes = arena_zalloc(a, PAGE_NODES, sizeof *nodes);
	for (size_t i = 0; i < PAGE_NODES; i++) {
		struct mesh_node_service *services = arena_zalloc(a, NODE_SERVICES, sizeof *services);
		for (size_t k = 0; k < NODE_SERVICES; k++)
			services[k] = (struct mesh_node_service){str_from(types[k]), 8080, STR_LIT("ed25519_" SIGNATURE_HEX), JSON_TRUE, 1767225600000};
		json_message_clear(&mesh_node_message, &nodes[i]);
		nodes[i].id = arena_printf(a, "validator-%zu", i);
		nodes[i].public_key = nodes[i].approved_by = STR_LIT("ed25519_" SIGNATURE_HEX);
		nodes[i].tailscale_hostname = STR_LIT("validator.tail1234.ts.net");
		nodes[i].tailscale_ip = STR_LIT("100.64.0.1");
		nodes[i].status = STR_LIT("active");
		nodes[i].role = STR_LIT("validator");
		nodes[i].registered_at = nodes[i].approved_at = nodes[i].last_heartbeat = 1767225600000;
		nodes[i].services = (struct json_list){services, NODE_SERVICES};
	}
	page.nodes = (struct json_list){nodes, PAGE_NODES};
	json_write(&page_text, &mesh_node_list_message, &page);
}

static void write_page(struct arena *a)
{
	struct buf out = {0};
	(void)a;
	json_write(&out, &mesh_node_list_message, &page);
	buf_free(&out);
}

static void read_page(struct arena *a)
{
	struct error err;
	struct mesh_node_list list;
	invariant(json_read_text(buf_str(&page_text), &mesh_node_list_message, &list, a, &err));
}

static void bench(const char *what, void (*run)(struct arena *a), int repeats)
{
	int64_t best = INT64_MAX;
	for (int round = 0; round < ROUNDS; round++) {
		int64_t start = clock_mono_ns();
		for (int i = 0; i < repeats; i++) {
			struct arena a;
			arena_init(&a);
			run(&a);
			arena_free(&a);
		}
		int64_t took = clock_mono_ns() - start;
		if (took < best)
			best = took;
	}
	printf("%-28s %8.2f us\n", what, (double)best / repeats / 1000);
}

int main(void)
{
	struct arena a;
	arena_init(&a);
	make_page(&a);
	printf("a heartbeat of %zu bytes with 4 services\n", sizeof heartbeat - 1);
	bench("parse", parse, REPEATS);
	bench("parse, read", parse_read, REPEATS);
	bench("parse, read, canonicalise", parse_read_canonicalise, REPEATS);
	printf("a page of %d nodes, %zu bytes\n", PAGE_NODES, page_text.len);
	bench("write", write_page, PAGE_REPEATS);
	bench("parse, read", read_page, PAGE_REPEATS);
	buf_free(&page_text);
	arena_free(&a);
	return 0;
}
