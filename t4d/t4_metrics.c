#include "t4_metrics.h"

#include "t4.h"

/* name, type, help */
#define T4_METRICS(M)                                                                                                                  \
	M(objects, GAUGE, "Blobs stored, as far as they were counted.")                                                                \
	M(bytes, GAUGE, "Their bytes.")                                                                                                \
	M(counted, GAUGE, "1 once the whole store was counted.")                                                              \
	M(free_bytes, GAUGE, "Free bytes of the file system.")                                                                         \
	M(writable, GAUGE, "1, or 0 after a failed fsync.")                                                                            \
	M(uploads, GAUGE, "Uploads under way.")                                                                                        \
	M(puts_total, COUNTER, "Blobs stored that were not there before.")                                                             \
	M(put_bytes_total, COUNTER, "Their bytes.")                                                                                    \
	M(duplicate_puts_total, COUNTER, "Puts of what was there already.")                                                            \
	M(deletes_total, COUNTER, "Blobs deleted.")                                                                                    \
	M(sync_rounds_total, COUNTER, "Rounds of the sync threads; puts that wait together share one.")                                \
	M(synced_files_total, COUNTER, "Files made durable in them.")                                                                  \
	M(corrupt_total, COUNTER, "Blobs found corrupt and moved to quarantine.")                                                      \
	M(checks_total, COUNTER, "Checks of whole blobs against their hash.")                                                \
	M(hashed_bytes_total, COUNTER, "Bytes read for these checks.")                                                                 \
	M(remembered_reads_total, COUNTER, "Reads that needed no check, for the file had not changed since the last.")                 \
	M(scrub_rounds_total, COUNTER, "Rounds of the scrubber over the whole store.")                                                 \
	M(scrub_checked, GAUGE, "Blobs checked in its present round.")                                                                 \
	M(scrub_unreadable_total, COUNTER, "Blobs that the disk did not give to the scrubber.")                                        \
	M(scrub_finished_timestamp_seconds, GAUGE, "When its last round ended (since the epoch); 0: none did.")                                  \
	M(known_keys, GAUGE, "Keys of services that tokens are checked against.")

#define VALUE(name, type, text) static _Atomic int64_t value_##name;
T4_METRICS(VALUE)
#define ROW(n, kind, text) \
	static const struct metric n##_metric = {.name = "tana_t4_" #n, .type = METRIC_##kind, .help = (text), .values = &value_##n};
T4_METRICS(ROW)
#define LISTED(name, type, text) &name##_metric,
const struct metric *const t4_metric_list[] = {T4_METRICS(LISTED) NULL};

static void collect_store(struct t4 *t)
{
	struct blob_totals b;
	struct error err;
	blob_totals(t->store, &b);
	value_objects = b.objects;
	value_bytes = b.bytes;
	value_counted = b.counted == BLOB_SHARDS;
	value_free_bytes = (int64_t)blob_free_space(t->store);
	value_writable = blob_store_writable(t->store, &err);
	value_uploads = t->uploads;
	value_puts_total = b.puts;
	value_put_bytes_total = b.put_bytes;
	value_duplicate_puts_total = b.duplicates;
	value_deletes_total = b.deletes;
	value_sync_rounds_total = b.syncs;
	value_synced_files_total = b.files_synced;
	value_corrupt_total = b.quarantined;
	value_checks_total = b.hashed;
	value_hashed_bytes_total = b.hashed_bytes;
	value_remembered_reads_total = b.remembered_hits;
}

void t4_metrics_collect(void *t4)
{
	struct t4 *t = t4;
	struct scrub_state s;
	int64_t read_at;
	size_t keys;
	collect_store(t);
	scrubber_state(t->scrubber, &s);
	value_scrub_rounds_total = s.rounds;
	value_scrub_checked = s.checked;
	value_scrub_unreadable_total = s.unreadable;
	value_scrub_finished_timestamp_seconds = s.finished_at / 1000;
	keyring_state(t->keyring, &read_at, &keys);
	value_known_keys = (int64_t)keys;
}
