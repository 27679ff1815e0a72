package hook

import (
	"cmp"
	"context"
	"slices"
	"time"

	"atelier/internal/build"
)

// Claims and memory.
const (
	claimTime = time.Minute
	pollTime  = 5 * time.Second // for deliveries of other servers
	keepTime  = 30 * 24 * time.Hour
)

// How many deliveries are handled at a time: one of a project, so that they stay in order, and some of a tenant, so that there is
// always a worker left for others.
const (
	workers          = 4
	workersPerTenant = 2
)

// Waiting is a project with deliveries that nobody has handled.
type Waiting struct {
	Project  build.ProjectID
	DomainID string
}

// Run handles deliveries until ctx ends. Tenants take turns, and the projects of a tenant do.
func (s *Service) Run(ctx context.Context) {
	forget := time.NewTicker(time.Hour)
	defer forget.Stop()
	poll := time.NewTicker(pollTime)
	defer poll.Stop()
	r := rota{busy: make(map[Waiting]bool), turns: make(map[string]int)}
	done := make(chan handled)
	look := true
	for {
		if look {
			s.look(ctx, &r)
		}
		look = true
		for w, ok := r.next(); ok; w, ok = r.next() {
			go func() { done <- handled{w, s.one(ctx, w.Project)} }()
		}
		select {
		case h := <-done:
			look = false
			r.end(h)
		case <-s.wake:
		case <-poll.C:
		case <-forget.C:
			if err := s.Store.ForgetDeliveries(ctx, s.now().Add(-keepTime)); err != nil && ctx.Err() == nil {
				s.Log.Error("forget old deliveries", "error", err)
			}
		case <-ctx.Done():
			for range r.busy {
				<-done
			}
			return
		}
	}
}

// look finds out which projects wait.
func (s *Service) look(ctx context.Context, r *rota) {
	waiting, err := s.Store.WaitingDeliveries(ctx, s.now())
	if err != nil {
		if ctx.Err() == nil {
			s.Log.Error("look for deliveries", "error", err)
		}
		return
	}
	r.set(waiting)
}

// handled says that a worker is free again.
type handled struct {
	project Waiting
	more    bool // the project may have another delivery
}

// rota says whose turn it is.
type rota struct {
	waiting []Waiting
	busy    map[Waiting]bool
	turn    int
	turns   map[string]int // the last turn of each tenant and project that waits
}

func (r *rota) set(waiting []Waiting) {
	r.waiting = waiting
	turns := make(map[string]int, len(r.turns))
	for _, w := range append(waiting, r.working()...) {
		for _, name := range []string{w.DomainID, string(w.Project)} {
			if turn, ok := r.turns[name]; ok {
				turns[name] = turn
			}
		}
	}
	r.turns = turns
}

func (r *rota) working() (out []Waiting) {
	for w := range r.busy {
		out = append(out, w)
	}
	return out
}

// next returns the project whose turn it is: of the tenant that had its turn longest ago, the project that had.
func (r *rota) next() (Waiting, bool) {
	if len(r.busy) >= workers {
		return Waiting{}, false
	}
	ofTenant := make(map[string]int)
	for w := range r.busy {
		ofTenant[w.DomainID]++
	}
	free := slices.DeleteFunc(slices.Clone(r.waiting), func(w Waiting) bool { return r.busy[w] || ofTenant[w.DomainID] >= workersPerTenant })
	if len(free) == 0 {
		return Waiting{}, false
	}
	w := slices.MinFunc(free, func(a, b Waiting) int {
		return cmp.Or(cmp.Compare(r.turns[a.DomainID], r.turns[b.DomainID]), cmp.Compare(r.turns[string(a.Project)], r.turns[string(b.Project)]))
	})
	r.turn++
	r.turns[w.DomainID], r.turns[string(w.Project)] = r.turn, r.turn
	r.busy[w] = true
	return w, true
}

func (r *rota) end(h handled) {
	delete(r.busy, h.project)
	if !h.more {
		r.waiting = slices.DeleteFunc(r.waiting, func(w Waiting) bool { return w == h.project })
	}
}

// one handles the oldest delivery of a project, and reports whether there may be another one. A delivery that fails is tried
// again when its claim has ended.
func (s *Service) one(ctx context.Context, project build.ProjectID) bool {
	now := s.now()
	d, ok, err := s.Store.ClaimDelivery(ctx, project, now, now.Add(claimTime))
	if err == nil && ok {
		if err = s.handle(ctx, &d); err == nil {
			d.HandledAt = s.now()
			err = s.Store.DeliveryHandled(ctx, d)
		}
	}
	if err != nil && ctx.Err() == nil {
		s.Log.Error("handle a delivery", "delivery", d.ID, "error", err)
	}
	return ok && err == nil
}
