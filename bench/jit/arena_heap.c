// SPDX-License-Identifier: GPL-2.0-only
// A binary heap of pointers to nodes, in an arena: pops the smallest, gives it a later key, pushes
// it again. Natively the same C without the address space.
typedef unsigned long long u64;

#ifdef __bpf__
#define __arena __attribute__((address_space(1)))
#else
#define __arena
#endif

struct node {
	u64 key;
	u64 weight;
};

typedef struct node __arena *node_ptr;

struct heap {
	u64 count;
	node_ptr nodes[256];
};

u64 kernel(struct heap __arena *heap, u64 count)
{
	u64 sum = 0;

	for (u64 turn = 0; turn < count; turn++) {
		node_ptr top = heap->nodes[1];
		u64 last = heap->count;
		u64 at = 1;

		sum += top->key;
		top->key += top->weight;
		while (at * 2 <= last) {
			u64 child = at * 2;

			if (child < last && heap->nodes[child + 1]->key < heap->nodes[child]->key)
				child++;
			if (heap->nodes[child]->key >= top->key)
				break;
			heap->nodes[at] = heap->nodes[child];
			at = child;
		}
		heap->nodes[at] = top;
	}
	return sum;
}
