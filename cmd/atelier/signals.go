package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// interrupts are what the operator asks for by signals: the first one to stop in order, the second one to stop now. A third one
// ends the process.
type interrupts struct {
	stop context.Context
	now  context.Context
}

func watchInterrupts() interrupts {
	stop, cancelStop := context.WithCancel(context.Background())
	now, cancelNow := context.WithCancel(context.Background())
	c := make(chan os.Signal, 2)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-c
		cancelStop()
		<-c
		cancelNow()
		signal.Stop(c)
	}()
	return interrupts{stop, now}
}
