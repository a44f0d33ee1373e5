// SPDX-License-Identifier: GPL-2.0-only
// Counts, and sums up, the bits set in both of two masks of 64 words, as a search for an idle CPU.
typedef unsigned long long u64;

u64 kernel(u64 *masks, u64 count)
{
	u64 sum = 0;

	for (u64 round = 0; round < count; round++) {
		for (u64 word = 0; word < 64; word++) {
			u64 both = masks[word] & masks[64 + word];

			while (both) {
				sum += word ^ (both & -both);
				both &= both - 1;
			}
		}
		masks[round & 63] ^= sum | 1;
	}
	return sum;
}
