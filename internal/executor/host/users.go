package host

import (
	"cmp"
	"context"
	"fmt"
	"os/user"
	"strconv"
	"strings"
)

// Users are users of this machine, those with the ids from First to Last. They need no entry in its list of users.
type Users struct {
	First, Last int
	Group       int // of all; 0 for a group each, with the user's id
}

// Count returns how many they are.
func (u Users) Count() int { return u.Last - u.First + 1 }

// maxUsers is how many users may be given: more than there are builds at a time.
const maxUsers = 4096

// maxUser is the largest id that the kernel takes.
const maxUser = 1<<32 - 2

// ParseUsers reads a name, an id, or a range of ids such as 60600-60855. Root is not among them.
func ParseUsers(text string) (Users, error) {
	if first, last, isRange := strings.Cut(text, "-"); isRange {
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 == nil && err2 == nil && from >= 1 && from <= to && to <= maxUser && to-from < maxUsers {
			return Users{First: from, Last: to}, nil
		}
	}
	if id, err := strconv.Atoi(text); err == nil && id >= 1 && id <= maxUser {
		return Users{First: id, Last: id}, nil
	}
	found, err := user.Lookup(text)
	if err != nil {
		return Users{}, fmt.Errorf("must be the name of a user, an id, or a range of at most %d ids such as 60600-60855, without root, found %q", maxUsers, text)
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

// userPool gives builds their users. No two builds that are open have the same.
type userPool struct {
	group int      // of all; 0 for a group each
	free  chan int // the one that was left last is taken last
}

func newUserPool(users Users) *userPool {
	p := &userPool{group: users.Group, free: make(chan int, users.Count())}
	for id := users.First; id <= users.Last; id++ {
		p.free <- id
	}
	return p
}

// take returns a user that no build has. It waits for one.
func (p *userPool) take(ctx context.Context) (owner, error) {
	select {
	case id := <-p.free:
		return owner{id, cmp.Or(p.group, id)}, nil
	case <-ctx.Done():
		return owner{}, fmt.Errorf("wait for a user that no build has: %w", context.Cause(ctx))
	}
}

// retire takes a user out of use. It is called before a build is open.
func (p *userPool) retire(id int) {
	for range len(p.free) {
		if free := <-p.free; free != id {
			p.free <- free
		}
	}
}

// leave gives a user back. Nothing of it may live any more, neither a process nor a file that a build can come to.
func (p *userPool) leave(o owner) { p.free <- o.user }
