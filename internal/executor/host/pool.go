package host

import (
	"errors"
	"sync"
)

// pool makes things before they are needed. Each is used once: what one build has had no other gets.
type pool[T any] struct {
	make  func() (T, error)
	alive func(T) bool // whether a thing can still be used
	drop  func(T) error

	ready  chan T
	making sync.WaitGroup
}

// maxReady is how many things of a kind wait for a build at most.
const maxReady = 8

func newPool[T any](make func() (T, error), alive func(T) bool, drop func(T) error) *pool[T] {
	return &pool[T]{make: make, alive: alive, drop: drop, ready: newReady[T]()}
}

func newReady[T any]() chan T { return make(chan T, maxReady) }

// take returns a thing that nobody has had.
func (p *pool[T]) take() (T, error) {
	for {
		select {
		case thing := <-p.ready:
			if p.alive(thing) {
				return thing, nil
			}
			_ = p.drop(thing)
		default:
			return p.make()
		}
	}
}

// refill makes one more thing, in the background, unless there are enough.
func (p *pool[T]) refill() {
	if len(p.ready) == cap(p.ready) {
		return
	}
	p.making.Go(func() {
		thing, err := p.make()
		if err != nil {
			return // whoever needs one sees why
		}
		select {
		case p.ready <- thing:
		default:
			_ = p.drop(thing)
		}
	})
}

// close drops what nobody has taken. It waits for what is being made.
func (p *pool[T]) close() error {
	p.making.Wait()
	var failed []error
	for {
		select {
		case thing := <-p.ready:
			failed = append(failed, p.drop(thing))
		default:
			return errors.Join(failed...)
		}
	}
}
