#include "mesh_details.h"

#include <stddef.h>

#include "base/buf.h"

struct details {
	struct str tailscale_ip, role, region, provider, latitude, longitude, reason, description;
	struct json_list services;
};
enum { TEXT_MAX = 256 };
static const struct json_field detail_rows[] = {
	F_TEXT(struct details, description, "description", 0, TEXT_MAX, "of a sovereign key"),
	F_TEXT(struct details, latitude, "latitude", 0, TEXT_MAX, "of a short registration"),
	F_TEXT(struct details, longitude, "longitude", 0, TEXT_MAX, "of a short registration"),
	F_TEXT(struct details, provider, "provider", 0, TEXT_MAX, "of a short registration"),
	F_TEXT(struct details, reason, "reason", 0, TEXT_MAX, "of a decision"),
	F_TEXT(struct details, region, "region", 0, TEXT_MAX, "of a short registration"),
	F_TEXT(struct details, role, "role", 0, TEXT_MAX, "of a short registration"),
	F_LIST(struct details, services, "services", 0, MESH_SERVICES_MAX, &mesh_service_message, "of a short registration"),
	F_TEXT(struct details, tailscale_ip, "tailscaleIP", 0, TEXT_MAX, "of a short registration"),
};
static JSON_MESSAGE(details_message, "AuditDetails", struct details, detail_rows);

void mesh_details_write(struct change *c, struct arena *arena)
{
	struct details d;
	json_message_clear(&details_message, &d);
	d.reason = c->reason;
	d.description = c->description;
	if (c->statement.kind == STATEMENT_REGISTER_SHORT) {
		const struct mesh_register *r = &c->statement.registration;
		d.tailscale_ip = r->tailscale_ip;
		d.role = r->role;
		d.region = r->region;
		d.provider = r->provider;
		d.latitude = r->latitude;
		d.longitude = r->longitude;
		d.services = r->services;
	}
	struct buf text = {0};
	json_write_canonical(&text, &details_message, &d);
	c->details = str_is(buf_str(&text), "{}") ? STR_NONE : arena_copy(arena, buf_str(&text));
	buf_free(&text);
}

bool mesh_details_read(struct change *c, struct arena *arena, struct error *err)
{
	if (!str_present(c->details))
		return true;
	struct details d;
	if (!json_read_text(c->details, &details_message, &d, arena, err))
		return false;
	c->reason = d.reason;
	c->description = d.description;
	if (c->statement.kind == STATEMENT_REGISTER_SHORT) {
		struct mesh_register *r = &c->statement.registration;
		r->tailscale_ip = d.tailscale_ip;
		r->role = d.role;
		r->region = d.region;
		r->provider = d.provider;
		r->latitude = d.latitude;
		r->longitude = d.longitude;
		r->services = d.services;
	}
	return true;
}
