/*
 * grant_image.c: a table of grants that is written down, and looked into where it was.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "access/grant_table_internal.h"

/* What an image begins with; behind it, each aligned, what a table has, in this order. */
typedef struct ImageHeader
{
	uint32		ngrants;
	uint32		nrecords;
	uint32		npurposes;
	uint64		identities_size;	/* entries, used or not */
	uint64		pseudonyms_size;
	uint32		identities_used;
	uint32		pseudonyms_used;
	uint64		heap_len;
} ImageHeader;

typedef struct ImagePart
{
	void	   *memory;			/* of the table */
	Size		len;
} ImagePart;

#define IMAGE_PARTS 6

static ImagePart
image_part(void *memory, uint64 count, Size size)
{
	ImagePart	part = {memory, (Size) count * size};

	return part;
}

static void
image_parts(const GrantTable *table, ImagePart parts[IMAGE_PARTS])
{
	const subjects_hash *identities = table->identities;
	const subjects_hash *pseudonyms = table->pseudonyms;

	parts[0] = image_part(table->grants, table->ngrants, sizeof(Grant));
	parts[1] = image_part(table->records, table->nrecords, sizeof(RecordSet));
	parts[2] = image_part(table->purposes, table->npurposes, sizeof(uint64));
	parts[3] = image_part(identities->data, identities->size, sizeof(SubjectEntry));
	parts[4] = image_part(pseudonyms->data, pseudonyms->size, sizeof(SubjectEntry));
	parts[5] = image_part(table->heap, table->heap_len, 1);
}

Size
grant_table_image_size(const GrantTable *table)
{
	ImagePart	parts[IMAGE_PARTS];
	Size		size = MAXALIGN(sizeof(ImageHeader));

	image_parts(table, parts);
	for (int i = 0; i < IMAGE_PARTS; i++)
		size += MAXALIGN(parts[i].len);
	return size;
}

void
grant_table_write_image(const GrantTable *table, char *image)
{
	ImageHeader header = {
		table->ngrants, table->nrecords, table->npurposes,
		table->identities->size, table->pseudonyms->size,
		table->identities->members, table->pseudonyms->members, table->heap_len
	};
	ImagePart	parts[IMAGE_PARTS];

	memcpy(image, &header, sizeof(header));
	image += MAXALIGN(sizeof(ImageHeader));
	image_parts(table, parts);
	for (int i = 0; i < IMAGE_PARTS; i++)
	{
		if (parts[i].len > 0)
			memcpy(image, parts[i].memory, parts[i].len);
		image += MAXALIGN(parts[i].len);
	}
}

/* A hash whose entries are somewhere else: to be looked into, and never added to. */
static subjects_hash *
subjects_view(GrantTable *table, char *entries, uint64 size, uint32 used)
{
	subjects_hash *hash = MemoryContextAllocZero(table->context, sizeof(subjects_hash));

	hash->size = size;
	hash->sizemask = (uint32) (size - 1);
	hash->members = used;
	hash->data = (SubjectEntry *) entries;
	hash->ctx = table->context;
	hash->private_data = table;
	return hash;
}

GrantTable *
grant_table_view(MemoryContext parent, char *image)
{
	MemoryContext context = AllocSetContextCreate(parent, "medchain shared grants",
												  ALLOCSET_SMALL_SIZES);
	GrantTable *table = MemoryContextAllocZero(context, sizeof(GrantTable));
	ImageHeader header;

	memcpy(&header, image, sizeof(header));
	image += MAXALIGN(sizeof(ImageHeader));
	table->context = context;
	table->grants = (Grant *) image;
	table->ngrants = table->max_grants = header.ngrants;
	image += MAXALIGN((Size) header.ngrants * sizeof(Grant));
	table->records = (RecordSet *) image;
	table->nrecords = table->max_records = header.nrecords;
	image += MAXALIGN((Size) header.nrecords * sizeof(RecordSet));
	table->purposes = (uint64 *) image;
	table->npurposes = table->max_purposes = header.npurposes;
	image += MAXALIGN((Size) header.npurposes * sizeof(uint64));
	table->identities = subjects_view(table, image, header.identities_size,
									  header.identities_used);
	image += MAXALIGN((Size) header.identities_size * sizeof(SubjectEntry));
	table->pseudonyms = subjects_view(table, image, header.pseudonyms_size,
									  header.pseudonyms_used);
	image += MAXALIGN((Size) header.pseudonyms_size * sizeof(SubjectEntry));
	table->heap = image;
	table->heap_len = table->heap_max = header.heap_len;
	return table;
}
