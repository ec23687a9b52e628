// Counting checks, shared by the files of the C test.
#ifndef ASSAY_CN_CHECK_H
#define ASSAY_CN_CHECK_H

#include <stdio.h>

extern unsigned check_count, check_failures;

#define CHECK(ok, ...)                                     \
	do {                                                   \
		check_count++;                                     \
		if (!(ok)) {                                       \
			check_failures++;                              \
			fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
			fprintf(stderr, __VA_ARGS__);                  \
			fprintf(stderr, "\n");                         \
		}                                                  \
	} while (0)

// check_units tests the parts below the batch call.
void check_units(void);

// check_lanes tests the AVX-512 math, which check_units cannot be compiled with.
void check_lanes(void);

#endif
