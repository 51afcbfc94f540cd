"""The engine's allocator for working memory: where ggml-alloc.c would put every tensor of a graph, and how far it gets.

Best fit among the free blocks, the block at the end only when nothing else will do; neighbours merge when freed
(ggml_dyn_tallocr_alloc and _free_bytes, llama.cpp 0c1e57098). What is lost to gaps is a fifth of the buffer,
so a sum of what is alive at once is not enough.
"""

_ENDLESS = 1 << 62

Blocks = list[list[int]]  # offset and size of every free block, by offset; the last one has no end


class Arena:
    """One device's buffer while a graph is laid out in it."""

    def __init__(self) -> None:
        self.peak = 0  # how large it got
        self.blocks: Blocks = [[0, _ENDLESS]]

    def take(self, size: int) -> int:
        """The offset of a new tensor."""
        chosen, smallest = self.blocks[-1], _ENDLESS
        for block in self.blocks:  # the last one is larger than any other, so it is taken only when none fits
            if size <= block[1] <= smallest:
                chosen, smallest = block, block[1]
        offset = chosen[0]
        chosen[0] += size
        chosen[1] -= size
        if not chosen[1]:
            self.blocks.remove(chosen)
        if chosen[0] > self.peak:
            self.peak = chosen[0]
        return offset

    def give(self, offset: int, size: int) -> None:
        """Frees a tensor; joins the blocks before and behind it."""
        blocks = self.blocks
        index = 0
        while blocks[index][0] < offset:
            index += 1
        behind = blocks[index]
        before = blocks[index - 1] if index else None
        if before is not None and before[0] + before[1] == offset:
            before[1] += size
            if offset + size == behind[0]:
                before[1] += behind[1]
                del blocks[index]
        elif offset + size == behind[0]:
            behind[0] = offset
            behind[1] += size
        else:
            blocks.insert(index, [offset, size])
