/*
 * dumpmap_heap_stream.h - tell a minidump where a process's heaps and arenas lie.
 *
 * Paste this file into a crash handler, build the stream into memory you own, and hand it to
 * MiniDumpWriteDump as a user stream of type DUMPMAP_HEAP_STREAM_TYPE. The format is described in
 * heap-stream.md. Everything here is plain C, allocates nothing and calls nothing but memcpy, memmove and
 * memset, so it can run in a damaged process.
 *
 * MIT License. Copyright (c) 2026 the dumpmap authors.
 *
 * Permission is hereby granted, free of charge, to any person obtaining a copy of this file, to deal in it
 * without restriction, including without limitation the rights to use, copy, modify, merge, publish,
 * distribute, sublicense, and/or sell copies of it, subject to this notice being kept in all copies or
 * substantial portions. THE FILE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED. IN NO
 * EVENT SHALL THE AUTHORS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY ARISING FROM ITS USE.
 */
#ifndef DUMPMAP_HEAP_STREAM_H
#define DUMPMAP_HEAP_STREAM_H

#include <stddef.h>
#include <string.h>

#if defined(_MSC_VER)
typedef unsigned __int64 dmhp_u64;
#define DMHP_FUNCTION static __inline
#elif defined(__GNUC__)
__extension__ typedef unsigned long long dmhp_u64;
#define DMHP_FUNCTION static __inline__ __attribute__((unused))
#else
typedef unsigned long long dmhp_u64;
#define DMHP_FUNCTION static
#endif
typedef unsigned int dmhp_u32;
typedef unsigned short dmhp_u16;

#define DUMPMAP_HEAP_STREAM_TYPE 0x50484D44u /* the bytes "DMHP" */
#define DMHP_VERSION 1
#define DMHP_NO_NAME 0xFFFFFFFFu
#define DMHP_COMMIT_UNKNOWN (~(dmhp_u64)0)

enum dmhp_heap_kind {
    DMHP_HEAP_UNKNOWN = 0,
    DMHP_HEAP_NT = 1,
    DMHP_HEAP_SEGMENT = 2,
    DMHP_HEAP_PAGE = 3,
    DMHP_HEAP_WINE = 4,
    DMHP_HEAP_CUSTOM = 16 /* jemalloc, mimalloc, an engine's arenas, ... */
};

enum dmhp_range_kind {
    DMHP_RANGE_OTHER = 0,
    DMHP_RANGE_SEGMENT = 1,
    DMHP_RANGE_LARGE_BLOCK = 2,
    DMHP_RANGE_FRONT_END = 3,
    DMHP_RANGE_ARENA = 4
};

/* The members below are naturally aligned in this order: the layout is the same for every compiler and word size. */
typedef struct dmhp_header {
    dmhp_u32 Signature;        /* DUMPMAP_HEAP_STREAM_TYPE */
    dmhp_u16 Version;          /* 1 */
    dmhp_u16 SizeOfHeader;     /* 32 */
    dmhp_u32 SizeOfHeapEntry;  /* 32 */
    dmhp_u32 NumberOfHeaps;
    dmhp_u32 SizeOfRangeEntry; /* 40 */
    dmhp_u32 NumberOfRanges;
    dmhp_u32 StringsOffset;    /* from the start of the stream; 0 = no strings */
    dmhp_u32 StringsSize;
} dmhp_header;

typedef struct dmhp_heap_entry {
    dmhp_u64 Address;    /* heap handle or arena base; 0 = none */
    dmhp_u32 Id;         /* 1-based, unique in the stream */
    dmhp_u32 Kind;       /* enum dmhp_heap_kind */
    dmhp_u32 Flags;      /* HEAP_* flags as far as known; 0 = not known */
    dmhp_u32 NameOffset; /* into the strings; DMHP_NO_NAME = none */
    dmhp_u64 Reserved;   /* 0 */
} dmhp_heap_entry;

typedef struct dmhp_range_entry {
    dmhp_u64 Base;
    dmhp_u64 Size;
    dmhp_u64 Committed;  /* bytes; DMHP_COMMIT_UNKNOWN = take it from the memory map */
    dmhp_u32 HeapId;
    dmhp_u32 Kind;       /* enum dmhp_range_kind */
    dmhp_u32 Flags;      /* 0 */
    dmhp_u32 Reserved;   /* 0 */
} dmhp_range_entry;

/* Compilation stops here if a compiler lays the structures out differently. */
typedef char dmhp_assert_header[sizeof(dmhp_header) == 32 ? 1 : -1];
typedef char dmhp_assert_heap[sizeof(dmhp_heap_entry) == 32 ? 1 : -1];
typedef char dmhp_assert_range[sizeof(dmhp_range_entry) == 40 ? 1 : -1];

/*
 * While the stream is being built, heaps grow up from the header, ranges grow up from behind the room kept for
 * heaps, and strings grow down from the end of the buffer. dmhp_finish closes the two gaps.
 */
typedef struct dmhp_builder {
    unsigned char *buffer; /* 8-byte aligned */
    size_t capacity;
    dmhp_u32 max_heaps;
    dmhp_u32 heaps;
    dmhp_u32 ranges;
    dmhp_u32 strings;      /* bytes used at the end of the buffer */
    int overflow;          /* something did not fit and was left out */
} dmhp_builder;

/* Starts a stream in `buffer`, with room for `max_heaps` heaps. 0 if even that does not fit. */
DMHP_FUNCTION int dmhp_init(dmhp_builder *b, void *buffer, size_t capacity, dmhp_u32 max_heaps)
{
    memset(b, 0, sizeof(*b));
    b->buffer = (unsigned char *)buffer;
    b->capacity = capacity & ~(size_t)7;
    b->max_heaps = max_heaps;
    return b->capacity <= 0xFFFFFFFFu && b->capacity >= sizeof(dmhp_header) &&
           max_heaps <= (b->capacity - sizeof(dmhp_header)) / sizeof(dmhp_heap_entry);
}

DMHP_FUNCTION size_t dmhp_room(const dmhp_builder *b)
{
    return b->capacity - sizeof(dmhp_header) - (size_t)b->max_heaps * sizeof(dmhp_heap_entry) -
           (size_t)b->ranges * sizeof(dmhp_range_entry) - b->strings;
}

/* Adds a heap and returns its id (1-based), or 0 if it did not fit. `name` is UTF-8 or NULL. */
DMHP_FUNCTION dmhp_u32 dmhp_heap(dmhp_builder *b, dmhp_u64 address, enum dmhp_heap_kind kind, dmhp_u32 flags,
                                 const char *name)
{
    dmhp_heap_entry *entry;
    if (b->heaps >= b->max_heaps) {
        b->overflow = 1;
        return 0;
    }
    entry = (dmhp_heap_entry *)(void *)(b->buffer + sizeof(dmhp_header)) + b->heaps++;
    memset(entry, 0, sizeof(*entry));
    entry->Address = address;
    entry->Id = b->heaps;
    entry->Kind = (dmhp_u32)kind;
    entry->Flags = flags;
    entry->NameOffset = DMHP_NO_NAME;
    if (name) {
        size_t length = strlen(name) + 1;
        if (length <= dmhp_room(b)) {
            b->strings += (dmhp_u32)length;
            memcpy(b->buffer + b->capacity - b->strings, name, length);
            entry->NameOffset = b->strings; /* distance from the end until dmhp_finish turns it round */
        } else {
            b->overflow = 1;
        }
    }
    return entry->Id;
}

/* Adds a range of address space that belongs to heap `heap_id`. 0 if it did not fit. */
DMHP_FUNCTION int dmhp_range(dmhp_builder *b, dmhp_u32 heap_id, dmhp_u64 base, dmhp_u64 size, dmhp_u64 committed,
                             enum dmhp_range_kind kind)
{
    dmhp_range_entry *entry;
    if (!heap_id || dmhp_room(b) < sizeof(*entry)) {
        b->overflow = 1;
        return 0;
    }
    entry = (dmhp_range_entry *)(void *)(b->buffer + sizeof(dmhp_header) +
                                         (size_t)b->max_heaps * sizeof(dmhp_heap_entry)) + b->ranges++;
    memset(entry, 0, sizeof(*entry));
    entry->Base = base;
    entry->Size = size;
    entry->Committed = committed;
    entry->HeapId = heap_id;
    entry->Kind = (dmhp_u32)kind;
    return 1;
}

/* Closes the gaps, writes the header and returns the size of the stream in bytes. Call it once. */
DMHP_FUNCTION dmhp_u32 dmhp_finish(dmhp_builder *b)
{
    dmhp_header header;
    dmhp_heap_entry *heaps = (dmhp_heap_entry *)(void *)(b->buffer + sizeof(dmhp_header));
    size_t ranges_at = sizeof(dmhp_header) + (size_t)b->heaps * sizeof(dmhp_heap_entry);
    size_t strings_at = ranges_at + (size_t)b->ranges * sizeof(dmhp_range_entry);
    dmhp_u32 i;

    memmove(b->buffer + ranges_at, b->buffer + sizeof(dmhp_header) + (size_t)b->max_heaps * sizeof(dmhp_heap_entry),
            (size_t)b->ranges * sizeof(dmhp_range_entry));
    memmove(b->buffer + strings_at, b->buffer + b->capacity - b->strings, b->strings);
    for (i = 0; i < b->heaps; i++)
        if (heaps[i].NameOffset != DMHP_NO_NAME)
            heaps[i].NameOffset = b->strings - heaps[i].NameOffset;

    memset(&header, 0, sizeof(header));
    header.Signature = DUMPMAP_HEAP_STREAM_TYPE;
    header.Version = DMHP_VERSION;
    header.SizeOfHeader = (dmhp_u16)sizeof(dmhp_header);
    header.SizeOfHeapEntry = (dmhp_u32)sizeof(dmhp_heap_entry);
    header.NumberOfHeaps = b->heaps;
    header.SizeOfRangeEntry = (dmhp_u32)sizeof(dmhp_range_entry);
    header.NumberOfRanges = b->ranges;
    header.StringsOffset = b->strings ? (dmhp_u32)strings_at : 0;
    header.StringsSize = b->strings;
    memcpy(b->buffer, &header, sizeof(header));
    return (dmhp_u32)(strings_at + b->strings);
}

#endif /* DUMPMAP_HEAP_STREAM_H */
