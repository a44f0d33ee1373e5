// SPDX-License-Identifier: GPL-2.0-only
// Reads and writes slots of a table, each found by hashing a key.
typedef unsigned long long u64;

u64 kernel(u64 *table, u64 count)
{
	u64 sum = 0;

	for (u64 i = 0; i < count; i++) {
		u64 key = i * 0x9e3779b97f4a7c15ULL;

		key ^= key >> 29;
		key *= 0xbf58476d1ce4e5b9ULL;
		key ^= key >> 32;
		u64 *slot = &table[key & 1023];

		if (*slot & 1)
			sum += *slot >> 3;
		*slot = sum ^ key;
	}
	return sum;
}
