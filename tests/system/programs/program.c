/* Something for a compiler. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node { struct node *left, *right; int key; };

static struct node *insert(struct node *n, int key)
{
	if (!n) {
		n = calloc(1, sizeof(*n));
		n->key = key;
	} else if (key < n->key) {
		n->left = insert(n->left, key);
	} else {
		n->right = insert(n->right, key);
	}
	return n;
}

static int depth(const struct node *n)
{
	int l, r;
	if (!n)
		return 0;
	l = depth(n->left), r = depth(n->right);
	return 1 + (l > r ? l : r);
}

double dot(const double *a, const double *b, int n)
{
	double sum = 0;
	for (int i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

int main(int argc, char *argv[])
{
	struct node *root = NULL;
	unsigned x = 1;
	for (int i = 0; i < 1000; i++)
		root = insert(root, (int)((x = x * 1103515245u + 12345u) >> 8));
	printf("%d %s\n", depth(root), argc > 1 ? argv[1] : strrchr("a/b", '/'));
	return 0;
}
