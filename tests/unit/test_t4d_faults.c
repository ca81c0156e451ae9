/* t4d: each system call of the write path fails in turn, and in turn kills the process. Afterwards every answered blob is there and sound,
 * and nothing else can be seen. */
#include "t4d_fixture.h"

enum { BLOBS = 6, CALLS_MAX = 40, BLOB_BYTES = 5000 };

static void make_blob(int i, char bytes[BLOB_BYTES], struct hash *h)
{
	memset(bytes, 'A' + i, BLOB_BYTES);
	sha256(h, bytes, BLOB_BYTES);
}

/* Every blob of the directory is whole; those whose bit is set in `answered` are there. */
static void check_store(unsigned answered)
{
	struct blob_store *s = plain_store();
	struct blob_totals t;
	char bytes[BLOB_BYTES];
	struct hash h;
	int there = 0;
	for (int i = 0; i < BLOBS; i++) {
		make_blob(i, bytes, &h);
		enum error_code code = get(s, &h, bytes, BLOB_BYTES);
		assert_true(code == SERVED || (code == ERR_UNKNOWN_CONTENT && !(answered & 1U << i)));
		there += code == SERVED;
	}
	blob_totals(s, &t);
	assert_int_equal(t.quarantined, 0);
	assert_int_equal(files_in(""), there); /* no temporary file either */
	blob_store_close(s);
}

/* In a process of its own: stores blobs and says which ones were answered, until it is done or dead. */
static void store_blobs(enum fault_op op, int nth, int tell)
{
	struct blob_store_options o = store_options();
	struct error err;
	struct hash h;
	char bytes[BLOB_BYTES];
	struct blob_store *s = blob_store_open(&o, &err);
	if (!s)
		_exit(1);
	fault_after(op, nth, FAULT_KILL);
	for (int i = 0; i < BLOBS; i++) {
		make_blob(i, bytes, &h);
		char number = (char)i;
		if (put(s, bytes, BLOB_BYTES, &h).ok && write(tell, &number, 1) != 1)
			_exit(1);
	}
	faults_none();
	_exit(0);
}

static void killed_at(enum fault_op op, int *strikes)
{
	for (int nth = 1; nth <= CALLS_MAX; nth++) {
		int tell[2], status;
		unsigned answered = 0;
		char number;
		assert_int_equal(pipe(tell), 0);
		pid_t child = fork();
		if (child == 0) {
			close(tell[0]);
			store_blobs(op, nth, tell[1]);
		}
		close(tell[1]);
		while (read(tell[0], &number, 1) == 1)
			answered |= 1U << number;
		close(tell[0]);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
		*strikes += WIFSIGNALED(status);
		check_store(answered);
		assert_int_equal(remove_dir(NULL), 0);
		assert_int_equal(make_dir(NULL), 0);
		if (!WIFSIGNALED(status))
			return; /* there are fewer such calls */
	}
}

static void killed_at_any_call(void **state)
{
	(void)state;
	static const enum fault_op ops[] = {FAULT_OPENAT, FAULT_WRITEV, FAULT_FSYNC, FAULT_LINKAT};
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		int strikes = 0;
		killed_at(ops[i], &strikes);
		assert_true(strikes >= BLOBS);
	}
}

static void failing_at_any_call(void **state)
{
	(void)state;
	static const enum fault_op ops[] = {FAULT_OPENAT, FAULT_WRITEV, FAULT_FSYNC, FAULT_LINKAT};
	static const int errors[] = {EIO, ENOSPC, EINTR, EDQUOT, EMFILE};
	for (size_t i = 0; i < ARRAY_LEN(ops) * ARRAY_LEN(errors); i++) {
		struct blob_store *s = plain_store();
		struct hash h;
		char bytes[BLOB_BYTES];
		unsigned answered = 0;
		int errnum = errors[i % ARRAY_LEN(errors)];
		fault_after(ops[i / ARRAY_LEN(errors)], 3, errnum);
		for (int b = 0; b < BLOBS; b++) {
			make_blob(b, bytes, &h);
			struct outcome o = put(s, bytes, BLOB_BYTES, &h);
			answered |= (unsigned)o.ok << b;
			if (o.ok || o.err.code == ERR_READ_ONLY)
				continue;
			enum error_code expected = errnum == ENOSPC || errnum == EDQUOT ? ERR_STORAGE_FULL : ERR_IO;
			if (errnum == EMFILE && ops[i / ARRAY_LEN(errors)] != FAULT_FSYNC)
				expected = ERR_OVERLOADED;
			assert_string_equal(error_code_text(o.err.code), error_code_text(expected));
		}
		assert_int_equal(atomic_load(&faults.left[ops[i / ARRAY_LEN(errors)]]) <= 0, 1); /* it struck */
		faults_none();
		blob_store_close(s);
		check_store(answered);
		assert_int_equal(remove_dir(NULL), 0);
		assert_int_equal(make_dir(NULL), 0);
	}
}

static void read_only_after_a_failed_fsync(void **state)
{
	(void)state;
	struct error err;
	struct hash first, second;
	for (int nth = 1; nth <= 2; nth++) { /* the file's, the directory's */
		struct blob_store *s = plain_store();
		assert_true(put(s, "before", 6, &first).ok);
		assert_true(blob_store_writable(s, &err));
		fault_after(FAULT_FSYNC, nth, EIO);
		struct outcome o = put(s, "during", 6, &second);
		assert_false(o.ok);
		assert_int_equal(o.err.code, ERR_IO);
		assert_false(blob_store_writable(s, &err));
		assert_int_equal(err.code, ERR_READ_ONLY);
		assert_null(blob_put_begin(s, &second, 6, &err));
		assert_int_equal(err.code, ERR_READ_ONLY);
		assert_int_equal(delete(s, &first).err.code, ERR_READ_ONLY);
		assert_int_equal(get(s, &first, "before", 6), SERVED);
		blob_store_close(s);
		s = plain_store(); /* a new start tries again */
		assert_true(put(s, "during", 6, &second).ok);
		assert_true(delete(s, &second).ok);
		assert_true(delete(s, &first).ok);
		blob_store_close(s);
	}
}

static void a_failed_quarantine_still_serves_nothing(void **state)
{
	(void)state;
	struct blob_store *s = plain_store();
	struct hash h;
	assert_true(put(s, "sound", 5, &h).ok);
	assert_int_equal(truncate(path_of(&h), 3), 0);
	fault_after(FAULT_RENAMEAT, 1, EIO);
	assert_int_equal(get(s, &h, "sound", 5), ERR_CONTENT_CORRUPT);
	assert_true(blob_exists(s, &h, NULL));
	assert_int_equal(get(s, &h, "sound", 5), ERR_CONTENT_CORRUPT); /* and this time it is moved */
	assert_int_equal(get(s, &h, "sound", 5), ERR_UNKNOWN_CONTENT);
	blob_store_close(s);
}

static void put_ends_when_the_store_closes(void **state)
{
	(void)state;
	struct blob_store *s = plain_store();
	struct outcome o = OUTCOME;
	struct hash h;
	sha256(&h, "last", 4);
	struct blob_put *p = blob_put_begin(s, &h, 4, &o.err);
	assert_non_null(p);
	assert_true(blob_put_write(p, "last", 4, &o.err));
	assert_true(blob_put_finish(p, take_outcome, &o, &o.err));
	blob_store_quiesce(s);
	assert_true(o.done && o.ok);
	blob_store_close(s);
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)
int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIR(killed_at_any_call),
		WITH_DIR(failing_at_any_call),
		WITH_DIR(read_only_after_a_failed_fsync),
		WITH_DIR(a_failed_quarantine_still_serves_nothing),
		WITH_DIR(put_ends_when_the_store_closes),
	};
	quiet_log();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
