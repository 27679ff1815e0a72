package httpapi

import "sync"

// crowd counts what goes on at a time, for each of those who do it and overall. The zero value has no limit overall.
type crowd struct {
	most int

	mu    sync.Mutex
	total int
	count map[string]int
}

// take counts one more of somebody who may have so many, until release is called; false when that is too many.
func (c *crowd) take(who string, most int) (release func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count[who] >= most || c.most > 0 && c.total >= c.most {
		return nil, false
	}
	if c.count == nil {
		c.count = make(map[string]int)
	}
	c.count[who]++
	c.total++
	return func() { c.leave(who) }, true
}

func (c *crowd) leave(who string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if c.count[who]--; c.count[who] == 0 {
		delete(c.count, who)
	}
}
