//go:build unix && !linux

package host

import (
	"context"
	"errors"
	"time"
)

// groups are what only Linux has.
type groups struct{}

func newGroups(string) (*groups, error) { return nil, errors.New("only Linux has control groups") }

func (*groups) clear(context.Context) error { return nil }

func (*groups) leave() {}

func (*groups) add([]int, time.Duration) (*group, error) { return nil, nil }

type group struct{}

func (*group) limit(limits) error { return nil }
func (*group) outOfMemory() int   { return 0 }
