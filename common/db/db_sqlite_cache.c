/*
 * SQLite's page cache, with one change: the page of the pending byte goes by number 0.
 *
 * To put the pages of an index, or of a table without rowids, in order after it was balanced, SQLite renames two of them by way of a number that no page with
 * content ever has: that of the file's lock byte, 1 GiB into it. Its cache remembers the highest number it was told, and when that is above the end of the
 * file, the next commit looks through every page for those to be dropped (docs/decisions.md has what that costs). Number 0 is nobody's either, since pages
 * count from 1, and it is not the highest.
 *
 * Nothing depends on how SQLite uses that number: whatever is kept by it is found by it, and dropped when the file is cut below it.
 */
#include "db_sqlite.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

enum { PENDING_BYTE = 1 << 30 }; /* of the file's format */

struct page_cache {
	sqlite3_pcache *real;
	unsigned pending; /* the number of the page with the pending byte */
};

static sqlite3_pcache_methods2 real_cache;

static struct page_cache *own(sqlite3_pcache *cache)
{
	return (struct page_cache *)cache;
}

static unsigned known_as(const struct page_cache *c, unsigned key)
{
	return key == c->pending ? 0 : key;
}

static sqlite3_pcache *cache_create(int page_size, int extra_size, int purgeable)
{
	sqlite3_pcache *real = real_cache.xCreate(page_size, extra_size, purgeable);
	if (!real)
		return NULL;
	struct page_cache *c = xmalloc(sizeof(*c));
	*c = (struct page_cache){real, (unsigned)(PENDING_BYTE / page_size) + 1};
	return (sqlite3_pcache *)c;
}

static void cache_destroy(sqlite3_pcache *cache)
{
	real_cache.xDestroy(own(cache)->real);
	free(cache);
}

static sqlite3_pcache_page *cache_fetch(sqlite3_pcache *cache, unsigned key, int create)
{
	return real_cache.xFetch(own(cache)->real, known_as(own(cache), key), create);
}

static void cache_unpin(sqlite3_pcache *cache, sqlite3_pcache_page *page, int discard)
{
	real_cache.xUnpin(own(cache)->real, page, discard);
}

static void cache_rekey(sqlite3_pcache *cache, sqlite3_pcache_page *page, unsigned from, unsigned to)
{
	const struct page_cache *c = own(cache);
	real_cache.xRekey(c->real, page, known_as(c, from), known_as(c, to));
}

static void cache_truncate(sqlite3_pcache *cache, unsigned limit)
{
	const struct page_cache *c = own(cache);
	sqlite3_pcache_page *pending = limit <= c->pending ? real_cache.xFetch(c->real, 0, 0) : NULL;
	if (pending)
		real_cache.xUnpin(c->real, pending, 1);
	real_cache.xTruncate(c->real, limit);
}

static void cache_size(sqlite3_pcache *cache, int pages)
{
	real_cache.xCachesize(own(cache)->real, pages);
}

static int cache_count(sqlite3_pcache *cache)
{
	return real_cache.xPagecount(own(cache)->real);
}

static void cache_shrink(sqlite3_pcache *cache)
{
	real_cache.xShrink(own(cache)->real);
}

void lite_register_cache(void)
{
	if (sqlite3_config(SQLITE_CONFIG_GETPCACHE2, &real_cache) != SQLITE_OK)
		fatal("SQLite shows no page cache");
	sqlite3_pcache_methods2 methods = real_cache;
	methods.xCreate = cache_create;
	methods.xDestroy = cache_destroy;
	methods.xFetch = cache_fetch;
	methods.xUnpin = cache_unpin;
	methods.xRekey = cache_rekey;
	methods.xTruncate = cache_truncate;
	methods.xCachesize = cache_size;
	methods.xPagecount = cache_count;
	methods.xShrink = cache_shrink;
	if (sqlite3_config(SQLITE_CONFIG_PCACHE2, &methods) != SQLITE_OK)
		fatal("SQLite takes no page cache");
}
