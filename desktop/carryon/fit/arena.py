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
        self.peak = 0
        self.blocks: Blocks = [[0, _ENDLESS]]

    def take(self, size: int) -> int:
        """The offset of a new tensor."""
        chosen, smallest = self.blocks[-1], _ENDLESS
        for block in self.blocks[:-1]:
            if size <= block[1] <= smallest:
                chosen, smallest = block, block[1]
        offset = chosen[0]
        chosen[0] += size
        chosen[1] -= size
        if not chosen[1]:
            self.blocks.remove(chosen)
        self.peak = max(self.peak, offset + size)
        return offset

    def give(self, offset: int, size: int) -> None:
        """Frees a tensor; joins the blocks before and behind it."""
        index = next(index for index, block in enumerate(self.blocks) if block[0] > offset)
        behind = self.blocks[index]
        before = self.blocks[index - 1] if index else None
        if before is not None and sum(before) == offset:
            before[1] += size
            if sum(before) == behind[0]:
                before[1] += behind[1]
                del self.blocks[index]
        elif offset + size == behind[0]:
            behind[0] = offset
            behind[1] += size
        else:
            self.blocks.insert(index, [offset, size])
