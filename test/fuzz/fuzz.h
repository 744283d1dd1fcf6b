/*
 * fuzz.h: the entry point of a fuzzer, and with FUZZ_MAIN a program that runs files through it.
 */
#ifndef MEDCHAIN_TEST_FUZZ_H
#define MEDCHAIN_TEST_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold for every input. */
#define MUST(condition) \
	do \
	{ \
		if (!(condition)) \
		{ \
			fprintf(stderr, "violated: %s\n", #condition); \
			abort(); \
		} \
	} while (0)

#ifdef FUZZ_MAIN
int
main(int argc, char **argv)
{
	static uint8_t data[1 << 20];

	for (int i = 1; i < argc; i++)
	{
		FILE	   *file = fopen(argv[i], "rb");

		if (file == NULL)
		{
			perror(argv[i]);
			return 2;
		}
		LLVMFuzzerTestOneInput(data, fread(data, 1, sizeof(data), file));
		fclose(file);
	}
	return 0;
}
#endif

#endif
