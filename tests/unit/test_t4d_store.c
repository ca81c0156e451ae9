/* t4d: what is stored comes back, what is refused leaves nothing, what was changed on the disk is never given out. */
#include "t4d_fixture.h"

#include "t4d/scrubber.h"

static void stored_and_read(void **state)
{
	(void)state;
	static char big[300000];
	static const size_t sizes[] = {0, 1, 999, 4095, 4096, 4097, 65536, 70001, sizeof(big)};
	struct blob_store *s = plain_store();
	struct hash h;
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 31 + i / 251);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct outcome o = put(s, big, sizes[i], &h);
		assert_true(o.ok && o.changed);
		assert_int_equal(o.size, sizes[i]);
		assert_int_equal(get(s, &h, big, sizes[i]), SERVED);
		o = put(s, big, sizes[i], &h);
		assert_true(o.ok && !o.changed);
	}
	assert_int_equal(files_in(""), ARRAY_LEN(sizes));
	blob_store_close(s);
	s = plain_store(); /* there is no index to lose */
	assert_int_equal(get(s, &h, big, sizeof(big)), SERVED);
	blob_store_close(s);
}

static void one_piece_a_byte(void **state)
{
	(void)state;
	char bytes[9000];
	struct outcome o = OUTCOME;
	struct blob_store *s = plain_store();
	struct hash h;
	memset(bytes, 'b', sizeof(bytes));
	sha256(&h, bytes, sizeof(bytes));
	struct blob_put *p = blob_put_begin(s, &h, -1, &o.err);
	assert_non_null(p);
	for (size_t i = 0; i < sizeof(bytes); i++)
		assert_true(blob_put_write(p, bytes + i, 1, &o.err));
	assert_int_equal(blob_put_taken(p), sizeof(bytes));
	assert_true(blob_put_finish(p, take_outcome, &o, &o.err));
	wait_for(&o);
	assert_true(o.ok);
	assert_int_equal(get(s, &h, bytes, sizeof(bytes)), SERVED);
	blob_store_close(s);
}

static void refusals_leave_nothing(void **state)
{
	(void)state;
	struct blob_store_options o = store_options();
	o.max_object_size = 5000;
	struct blob_store *s = open_store(&o);
	char bytes[6000];
	struct hash h, other = {.b = {1}};
	memset(bytes, 'r', sizeof(bytes));
	sha256(&h, bytes, 5000);
	const struct {
		const struct hash *h;
		size_t n;
		int64_t announced;
		enum error_code code;
	} cases[] = {
		{&other, 5000, 5000, ERR_HASH_MISMATCH}, {&other, 0, 0, ERR_HASH_MISMATCH},	 {&h, 5000, 4999, ERR_LENGTH_MISMATCH},
		{&h, 4999, 5000, ERR_LENGTH_MISMATCH},	 {&h, 0, 5000, ERR_LENGTH_MISMATCH},	 {&h, 6000, 6000, ERR_TOO_LARGE},
		{&h, 5001, -1, ERR_TOO_LARGE},		 {&h, 0, INT64_MAX, ERR_TOO_LARGE},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct outcome out = put_as(s, cases[i].h, bytes, cases[i].n, cases[i].announced);
		assert_false(out.ok);
		assert_string_equal(error_code_text(out.err.code), error_code_text(cases[i].code));
	}
	assert_int_equal(get(s, &other, "", 0), ERR_UNKNOWN_CONTENT);
	assert_int_equal(delete(s, &other).err.code, ERR_UNKNOWN_CONTENT);
	assert_int_equal(files_in(""), 0);
	assert_true(put(s, bytes, 5000, &h).ok); /* the largest there may be */
	blob_store_close(s);
}

static void full_before_the_disk_is(void **state)
{
	(void)state;
	struct blob_store_options o = store_options();
	struct blob_store *s = open_store(&o);
	struct error err;
	struct hash h;
	uint64_t free_bytes = blob_free_space(s);
	assert_true(put(s, "early", 5, &h).ok);
	blob_store_close(s);
	o.min_free_space = free_bytes + (UINT64_C(1) << 40);
	s = open_store(&o);
	assert_null(blob_put_begin(s, &h, 5, &err));
	assert_int_equal(err.code, ERR_STORAGE_FULL);
	assert_null(blob_put_begin(s, &h, -1, &err));
	assert_int_equal(err.code, ERR_STORAGE_FULL);
	assert_int_equal(get(s, &h, "early", 5), SERVED);
	assert_true(delete(s, &h).ok); /* which makes room */
	blob_store_close(s);
	/* What was announced and has not come counts. */
	o.max_object_size = UINT64_MAX;
	o.min_free_space = 1 << 30;
	if (free_bytes < (UINT64_C(4) << 30))
		skip();
	s = open_store(&o);
	int64_t most = (int64_t)(free_bytes - (UINT64_C(2) << 30));
	struct blob_put *first = blob_put_begin(s, &h, most, &err);
	assert_non_null(first);
	assert_null(blob_put_begin(s, &h, most, &err));
	assert_int_equal(err.code, ERR_STORAGE_FULL);
	blob_put_abandon(first);
	struct blob_put *again = blob_put_begin(s, &h, most, &err);
	assert_non_null(again);
	blob_put_abandon(again);
	blob_store_close(s);
}

/* ---- what others do to the files ---- */

static void overwrite(const struct hash *h, size_t at, unsigned char byte)
{
	int fd = open(path_of(h), O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	close(fd);
}

static void no_flipped_byte_is_served(void **state)
{
	(void)state;
	unsigned char bytes[200];
	struct blob_store *s = plain_store();
	struct hash h;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		assert_true(put(s, bytes, sizeof(bytes), &h).changed);
		assert_int_equal(get(s, &h, bytes, sizeof(bytes)), SERVED);
		overwrite(&h, i, bytes[i] ^ (unsigned char)(1U << i % 8));
		assert_int_equal(get(s, &h, bytes, sizeof(bytes)), ERR_CONTENT_CORRUPT);
		assert_int_equal(get(s, &h, bytes, sizeof(bytes)), ERR_UNKNOWN_CONTENT);
		assert_int_equal(files_in("quarantine"), i + 1);
	}
	struct blob_totals t;
	blob_totals(s, &t);
	assert_int_equal(t.quarantined, sizeof(bytes));
	blob_store_close(s);
}

/* Also at once after the put, and with the old times put back. */
static void no_quick_change_is_served(void **state)
{
	(void)state;
	struct blob_store *s = plain_store();
	struct hash h;
	char bytes[100];
	for (int i = 0; i < 300; i++) {
		struct stat st;
		int n = snprintf(bytes, sizeof(bytes), "blob number %d", i);
		assert_true(put(s, bytes, (size_t)n, &h).ok);
		if (i % 2)
			assert_int_equal(get(s, &h, bytes, (size_t)n), SERVED);
		assert_int_equal(stat(path_of(&h), &st), 0);
		overwrite(&h, 0, 'B');
		const struct timespec times[2] = {st.st_atim, st.st_mtim};
		assert_int_equal(utimensat(AT_FDCWD, path_of(&h), times, 0), 0);
		assert_int_equal(get(s, &h, bytes, (size_t)n), ERR_CONTENT_CORRUPT);
	}
	blob_store_close(s);
}

static void odd_things_in_place_of_a_blob(void **state)
{
	(void)state;
	struct blob_store *s = plain_store();
	struct hash h, target;
	assert_true(put(s, "target", 6, &target).ok);
	char link_to[256];
	(void)snprintf(link_to, sizeof(link_to), "%s", path_of(&target));
	for (int i = 0; i < 5; i++) {
		assert_true(put(s, "blob", 4, &h).changed);
		assert_int_equal(get(s, &h, "blob", 4), SERVED);
		if (i < 3)
			assert_int_equal(unlink(path_of(&h)), 0);
		switch (i) {
		case 0:
			assert_int_equal(symlink(link_to, path_of(&h)), 0);
			break;
		case 1:
			assert_int_equal(mkfifo(path_of(&h), 0600), 0);
			break;
		case 2:
			assert_int_equal(mkdir(path_of(&h), 0700), 0);
			break;
		case 3:
			assert_int_equal(truncate(path_of(&h), 0), 0);
			break;
		case 4:
			assert_int_equal(truncate(path_of(&h), 5), 0);
			break;
		}
		assert_int_equal(get(s, &h, "blob", 4), ERR_CONTENT_CORRUPT);
	}
	assert_true(put(s, "blob", 4, &h).changed);
	overwrite(&h, 1, 'L');
	assert_true(put(s, "blob", 4, &h).changed); /* what is corrupt is replaced */
	assert_int_equal(get(s, &h, "blob", 4), SERVED);
	assert_int_equal(files_in("quarantine"), 4); /* the FIFO, the cut, the grown, the overwritten; the others are no files */
	blob_store_close(s);
}

/* ---- remembering ---- */

static int64_t hashed(struct blob_store *s)
{
	struct blob_totals t;
	blob_totals(s, &t);
	return t.hashed;
}

static void verified_once_or_always(void **state)
{
	(void)state;
	struct blob_store_options o = store_options();
	struct blob_store *s = open_store(&o);
	struct hash h;
	bool later;
	uint64_t size;
	int fd;
	struct error err;
	assert_true(put(s, "remembered", 10, &h).ok);
	blob_store_close(s);
	usleep(200000); /* beyond what coarse file times leave open */
	s = open_store(&o);
	assert_true(blob_open_quick(s, &h, 9, &fd, &size, &later, &err) && later);
	for (int i = 0; i < 3; i++)
		assert_int_equal(get(s, &h, "remembered", 10), SERVED);
	assert_int_equal(hashed(s), 1);
	assert_true(blob_open_quick(s, &h, 0, &fd, &size, &later, &err) && !later);
	close(fd);
	assert_int_equal(chmod(path_of(&h), 0640), 0); /* its ctime is another now */
	assert_int_equal(get(s, &h, "remembered", 10), SERVED);
	assert_int_equal(hashed(s), 2);
	blob_store_close(s);
	o.verify = VERIFY_ALWAYS;
	s = open_store(&o);
	for (int i = 0; i < 3; i++)
		assert_int_equal(get(s, &h, "remembered", 10), SERVED);
	assert_int_equal(hashed(s), 3);
	blob_store_close(s);
}

static int descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int64_t remembered(struct blob_store *s)
{
	struct blob_totals t;
	blob_totals(s, &t);
	return t.remembered_hits;
}

/* A bounded number, whatever is read, and none of what was deleted. */
static void files_stay_open(void **state)
{
	(void)state;
	enum { BLOBS = 40, KEPT = 8 };
	struct blob_store_options o = store_options();
	struct hash h[BLOBS];
	struct buf again = {0};
	o.open_files_max = KEPT;
	struct blob_store *s = open_store(&o);
	for (int i = 0; i < BLOBS; i++)
		assert_true(put(s, &i, sizeof(i), &h[i]).ok);
	usleep(200000); /* beyond what coarse file times leave open */
	int before = descriptors();
	for (int i = 0; i < 2 * BLOBS; i++) {
		int n = i % BLOBS;
		assert_int_equal(get(s, &h[n], &n, sizeof(n)), SERVED);
	}
	assert_int_equal(descriptors(), before + KEPT);
	int last = BLOBS - 1;
	int64_t hits = remembered(s);
	assert_true(blob_read_again(s, &h[last], &again));
	assert_int_equal(remembered(s), hits + 1);
	assert_int_equal(again.len, sizeof(last));
	assert_memory_equal(again.data, &last, sizeof(last));
	assert_int_equal(unlink(path_of(&h[last])), 0); /* by whomever */
	assert_false(blob_read_again(s, &h[last], &again));
	for (int i = 0; i < last; i++)
		assert_true(delete(s, &h[i]).ok);
	assert_int_equal(descriptors(), before);
	buf_free(&again);
	blob_store_close(s);
}

/* ---- at the same time ---- */

struct reader {
	struct blob_store *store;
	_Atomic bool *ends;
};

static void *read_on(void *arg)
{
	struct reader *r = arg;
	struct hash h;
	for (unsigned i = 0; !atomic_load(r->ends); i++) {
		unsigned n = i % 4;
		sha256(&h, &n, sizeof(n));
		enum error_code code = get(r->store, &h, &n, sizeof(n));
		assert_true(code == SERVED || code == ERR_UNKNOWN_CONTENT);
	}
	return NULL;
}

static void read_while_put_and_deleted(void **state)
{
	(void)state;
	enum { READERS = 3, ROUNDS = 20 };
	struct blob_store *s = plain_store();
	struct reader readers[READERS];
	pthread_t threads[READERS];
	_Atomic bool ends = false;
	struct hash h;
	for (int i = 0; i < READERS; i++) {
		readers[i] = (struct reader){.store = s, .ends = &ends};
		assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		for (unsigned n = 0; n < 4; n++)
			assert_true(put(s, &n, sizeof(n), &h).changed);
		for (unsigned n = 0; n < 4; n++) {
			sha256(&h, &n, sizeof(n));
			assert_true(delete(s, &h).changed);
			assert_int_equal(get(s, &h, &n, sizeof(n)), ERR_UNKNOWN_CONTENT);
		}
	}
	atomic_store(&ends, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	blob_store_close(s);
}

struct racer {
	struct blob_store *store;
	pthread_barrier_t *begin;
	int changed, failed;
};

static void *race(void *arg)
{
	struct racer *r = arg;
	struct hash h;
	pthread_barrier_wait(r->begin);
	for (int i = 0; i < 20; i++) {
		struct outcome o = put(r->store, "the same for all", 16, &h);
		r->changed += o.ok && o.changed;
		r->failed += !o.ok;
	}
	return NULL;
}

static void concurrent_puts_of_one(void **state)
{
	(void)state;
	enum { RACERS = 16 };
	struct blob_store *s = plain_store();
	pthread_t threads[RACERS];
	struct racer racers[RACERS];
	pthread_barrier_t begin;
	struct hash h;
	int changed = 0, failed = 0;
	pthread_barrier_init(&begin, NULL, RACERS);
	for (int i = 0; i < RACERS; i++) {
		racers[i] = (struct racer){.store = s, .begin = &begin};
		assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	}
	for (int i = 0; i < RACERS; i++) {
		pthread_join(threads[i], NULL);
		changed += racers[i].changed;
		failed += racers[i].failed;
	}
	pthread_barrier_destroy(&begin);
	assert_int_equal(changed, 1);
	assert_int_equal(failed, 0);
	assert_int_equal(files_in(""), 1);
	sha256(&h, "the same for all", 16);
	assert_int_equal(get(s, &h, "the same for all", 16), SERVED);
	blob_store_close(s);
}

static void deleted_while_read(void **state)
{
	(void)state;
	struct blob_store *s = plain_store();
	struct error err;
	struct hash h;
	uint64_t size;
	char bytes[8];
	int fd;
	assert_true(put(s, "reading", 7, &h).ok);
	assert_true(blob_open(s, &h, &fd, &size, &err));
	struct outcome o = delete(s, &h);
	assert_true(o.ok && o.changed);
	assert_int_equal(o.size, 7);
	assert_false(blob_exists(s, &h, NULL));
	assert_int_equal(get(s, &h, "reading", 7), ERR_UNKNOWN_CONTENT);
	assert_int_equal(pread(fd, bytes, sizeof(bytes), 0), 7);
	assert_memory_equal(bytes, "reading", 7);
	close(fd);
	blob_store_close(s);
}

static void one_serves_a_directory(void **state)
{
	(void)state;
	struct blob_store_options o = store_options();
	struct error err;
	struct hash h;
	struct blob_store *s = open_store(&o);
	assert_null(blob_store_open(&o, &err));
	assert_int_equal(err.code, ERR_WRONG_STATE);
	assert_true(put(s, "shared", 6, &h).ok);
	o.role = STORE_OFFLINE;
	struct blob_store *beside = open_store(&o);
	assert_int_equal(get(beside, &h, "shared", 6), SERVED);
	blob_store_close(beside);
	blob_store_close(s);
	o.dir = "/tmp/tana-t4d-that-is-not-there";
	assert_null(blob_store_open(&o, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

/* ---- all of them ---- */

static void pages_and_counts(void **state)
{
	(void)state;
	enum { BLOBS = 700 };
	struct blob_store *s = plain_store();
	struct blob_entry page[64], before = {.size = 0};
	struct error err;
	struct hash h;
	char bytes[32];
	size_t count, seen = 0, by_prefix = 0;
	bool more = true;
	for (int i = 0; i < BLOBS; i++)
		assert_true(put(s, bytes, (size_t)snprintf(bytes, sizeof(bytes), "blob %03d", i), &h).ok);
	for (size_t max = 1; max <= ARRAY_LEN(page); max += 21) {
		seen = 0;
		for (more = true; more; seen += count) {
			assert_true(blob_list(s, "", seen ? &before.hash : NULL, page, max, &count, &more, &err));
			assert_true(count <= max && (count > 0 || !more));
			for (size_t i = 0; i < count; i++) {
				assert_true(memcmp(before.hash.b, page[i].hash.b, HASH_SIZE) < 0 || (seen == 0 && i == 0));
				assert_int_equal(page[i].size, 8);
				before = page[i];
			}
		}
		assert_int_equal(seen, BLOBS);
	}
	for (unsigned c = 0; c < 16; c++) {
		char prefix[2] = {"0123456789abcdef"[c], '\0'};
		more = true;
		for (size_t at = 0; more; at += count, by_prefix += count) {
			assert_true(blob_list(s, prefix, at ? &before.hash : NULL, page, ARRAY_LEN(page), &count, &more, &err));
			for (size_t i = 0; i < count; i++)
				assert_int_equal(page[i].hash.b[0] >> 4, c);
			if (count > 0)
				before = page[count - 1];
		}
	}
	assert_int_equal(by_prefix, BLOBS);
	struct blob_totals t;
	for (unsigned i = 0; i < BLOB_SHARDS; i++)
		assert_true(blob_count(s, i, &err));
	assert_true(put(s, "one more", 8, &h).ok);
	blob_totals(s, &t);
	assert_int_equal(t.objects, BLOBS + 1);
	assert_int_equal(t.bytes, (BLOBS + 1) * 8);
	assert_true(delete(s, &h).ok);
	blob_totals(s, &t);
	assert_int_equal(t.objects, BLOBS);
	blob_store_close(s);
}

static int found_corrupt;
static void found(void *ctx, const struct hash *h, const struct error *why)
{
	assert_memory_equal(h, ctx, sizeof(*h));
	found_corrupt += why->code == ERR_CONTENT_CORRUPT;
}

static void scrubbed(void **state)
{
	(void)state;
	struct blob_store *s = plain_store();
	struct scrub_state result;
	struct error err;
	struct hash h;
	static char big[100001];
	for (int i = 0; i < 20; i++) {
		memset(big, 'a' + i, sizeof(big));
		assert_true(put(s, big, sizeof(big) - (size_t)i, &h).ok);
	}
	overwrite(&h, 50000, 0);
	found_corrupt = 0;
	assert_true(scrub_once(s, 0, found, NULL, &h, &result, &err));
	assert_int_equal(result.checked, 20);
	assert_int_equal(result.corrupt, 1);
	assert_int_equal(result.unreadable, 0);
	assert_int_equal(result.shards, BLOB_SHARDS);
	assert_int_equal(found_corrupt, 1);
	assert_int_equal(files_in("quarantine"), 1);
	assert_true(scrub_once(s, 0, found, NULL, &h, &result, &err));
	assert_int_equal(result.checked, 19);
	assert_int_equal(result.corrupt, 0);
	blob_store_close(s);
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)
int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIR(stored_and_read),
		WITH_DIR(one_piece_a_byte),
		WITH_DIR(refusals_leave_nothing),
		WITH_DIR(full_before_the_disk_is),
		WITH_DIR(no_flipped_byte_is_served),
		WITH_DIR(no_quick_change_is_served),
		WITH_DIR(odd_things_in_place_of_a_blob),
		WITH_DIR(verified_once_or_always),
		WITH_DIR(files_stay_open),
		WITH_DIR(read_while_put_and_deleted),
		WITH_DIR(concurrent_puts_of_one),
		WITH_DIR(deleted_while_read),
		WITH_DIR(one_serves_a_directory),
		WITH_DIR(pages_and_counts),
		WITH_DIR(scrubbed),
	};
	quiet_log();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
