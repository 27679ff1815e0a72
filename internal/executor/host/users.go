package host

import (
	"fmt"
	"os/user"
	"strconv"
	"strings"
	"sync"
)

// Users are users of this machine, those with the ids from First to Last. They need no entry in its list of users.
type Users struct {
	First, Last int
	Group       int // of all; 0 for a group each, with the user's id
}

// maxUser is the largest id that the kernel takes.
const maxUser = 1<<32 - 2

// ParseUsers reads a name, an id, or a range of ids such as 60600-60855. Root is not among them.
func ParseUsers(text string) (Users, error) {
	if first, last, isRange := strings.Cut(text, "-"); isRange {
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 == nil && err2 == nil && from >= 1 && from <= to && to <= maxUser {
			return Users{First: from, Last: to}, nil
		}
	}
	if id, err := strconv.Atoi(text); err == nil && id >= 1 && id <= maxUser {
		return Users{First: id, Last: id}, nil
	}
	found, err := user.Lookup(text)
	if err != nil {
		return Users{}, fmt.Errorf("must be the name of a user, an id, or a range of ids such as 60600-60855, without root, found %q", text)
	}
	id, err1 := strconv.Atoi(found.Uid)
	group, err2 := strconv.Atoi(found.Gid)
	if err1 != nil || err2 != nil || id == 0 || group == 0 {
		return Users{}, fmt.Errorf("must not be root or in its group, found %q", text)
	}
	return Users{First: id, Last: id, Group: group}, nil
}

// owner is whom the steps of a build run as. The zero value is the server's own user.
type owner struct{ user, group int }

// userPool gives builds their users: each its own, unless more builds are open than there are users.
type userPool struct {
	users Users

	mu     sync.Mutex
	builds map[int]int // that each user has
	next   int         // so that the user of the last build is the last to be taken again
}

func newUserPool(users Users) *userPool {
	return &userPool{users: users, builds: map[int]int{}, next: users.First}
}

// take returns one of the users that have the fewest builds.
func (p *userPool) take() owner {
	p.mu.Lock()
	defer p.mu.Unlock()
	best := p.next
	for i, n := 0, p.users.Last-p.users.First+1; i < n && p.builds[best] > 0; i++ {
		id := p.users.First + (p.next-p.users.First+i)%n
		if p.builds[id] < p.builds[best] {
			best = id
		}
	}
	p.builds[best]++
	if p.next = best + 1; p.next > p.users.Last {
		p.next = p.users.First
	}
	group := p.users.Group
	if group == 0 {
		group = best
	}
	return owner{best, group}
}

// leave gives a user back.
func (p *userPool) leave(o owner) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.builds[o.user]--; p.builds[o.user] == 0 {
		delete(p.builds, o.user)
	}
}
