package mask

// automaton finds all patterns at once: the one of Aho and Corasick, with a filter before it that jumps over text in which
// nothing can begin. It reads every byte a constant number of times, whatever the patterns and the text are.
type automaton struct {
	nodes  []node // 0 is the root
	root   [256]int32
	filter filter
}

// node stands for a beginning of one or more patterns. The numbers of nodes are int32, since there can be a million of them.
type node struct {
	child, sibling int32 // the first of its children, the next of its parent's; 0 for none
	fail           int32 // the longest other node that this one ends with
	depth          int32 // the number of bytes
	match          int32 // length of the longest pattern that it ends with; 0 for none
	wrapMatch      int32 // the same, of the patterns that may have line breaks in them
	label          byte  // the last byte
	wraps          bool  // it begins a pattern that may have line breaks in it
}

func newAutomaton(patterns []pattern) *automaton {
	a := &automaton{nodes: make([]node, 1, 1024), filter: newFilter(patterns)}
	a.nodes[0].wraps = true
	for _, p := range patterns {
		a.insert(p)
	}
	a.link()
	return a
}

func (a *automaton) insert(p pattern) {
	whole := a.path(0, p.text, p.wraps)
	for i := range len(p.last) {
		digit := a.path(whole, p.last[i:i+1], p.wraps)
		if i == 0 {
			a.path(digit, p.padding, p.wraps)
		}
	}
}

// path makes the nodes from at along text, and a match of the last one.
func (a *automaton) path(at int32, text string, wraps bool) int32 {
	for i := range len(text) {
		next := a.child(at, text[i])
		if next == 0 {
			next = int32(len(a.nodes))
			a.nodes = append(a.nodes, node{sibling: a.nodes[at].child, depth: a.nodes[at].depth + 1, label: text[i]})
			a.nodes[at].child = next
			if at == 0 {
				a.root[text[i]] = next
			}
		}
		at = next
		a.nodes[at].wraps = a.nodes[at].wraps || wraps
	}
	n := &a.nodes[at]
	n.match = n.depth
	if wraps {
		n.wrapMatch = n.depth
	}
	return at
}

// link sets what depends on shorter nodes, the shortest nodes first.
func (a *automaton) link() {
	queue := []int32{0}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		n := &a.nodes[at]
		for c := n.child; c != 0; c = a.nodes[c].sibling {
			child := &a.nodes[c]
			if at != 0 {
				child.fail = a.next(n.fail, child.label)
			}
			shorter := a.nodes[child.fail]
			if child.match == 0 {
				child.match = shorter.match
			}
			if child.wrapMatch == 0 {
				child.wrapMatch = shorter.wrapMatch
			}
			queue = append(queue, c)
		}
	}
}

func (a *automaton) depth(at int32) int { return int(a.nodes[at].depth) }

func (a *automaton) child(at int32, label byte) int32 {
	if at == 0 {
		return a.root[label]
	}
	c := a.nodes[at].child
	for c != 0 && a.nodes[c].label != label {
		c = a.nodes[c].sibling
	}
	return c
}

// next returns the node that is reached from at by one byte.
func (a *automaton) next(at int32, label byte) int32 {
	for {
		if c := a.child(at, label); c != 0 || at == 0 {
			return c
		}
		at = a.nodes[at].fail
	}
}

// wrapping returns the longest end of at that begins a pattern which may have line breaks in it.
func (a *automaton) wrapping(at int32) int32 {
	for !a.nodes[at].wraps {
		at = a.nodes[at].fail
	}
	return at
}

// filter knows pairs of bytes. It slides a window over the text, as long as the shortest pattern. The last pair in the window
// tells how far away the nearest place is at which a pattern can begin: most pairs stand in no pattern at all.
type filter struct {
	window int
	shift  []uint8 // by pair; 0 when a pattern may begin where the window does
}

// maxWindow is where longer windows stop to help: ever more pairs stand somewhere in them.
const maxWindow = 32

func newFilter(patterns []pattern) filter {
	f := filter{window: maxWindow, shift: make([]uint8, 1<<16)}
	for _, p := range patterns {
		f.window = min(f.window, len(p.text))
	}
	for i := range f.shift {
		f.shift[i] = uint8(f.window - 1)
	}
	for _, p := range patterns {
		head := p.text[:f.window]
		f.learn(head)
		for i := 1; p.wraps && i < f.window; i++ {
			f.learn(head[:i] + "\n" + head[i:])
			f.learn(head[:i] + "\r\n" + head[i:])
		}
	}
	return f
}

func (f *filter) learn(head string) {
	for i := range f.window - 1 {
		p := pair(head[i], head[i+1])
		f.shift[p] = min(f.shift[p], uint8(f.window-2-i))
	}
}

func pair(a, b byte) int { return int(a)<<8 | int(b) }

// skip returns the first place at or after at where a pattern can begin, or the first that is too near to the end to tell.
func (f *filter) skip(data []byte, at int) int {
	for last := at + f.window - 1; last < len(data); last = at + f.window - 1 {
		shift := f.shift[pair(data[last-1], data[last])]
		if shift == 0 {
			break
		}
		at += int(shift)
	}
	return at
}
