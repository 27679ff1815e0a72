// Package attack tests what somebody who may run one build, or who may only send requests, must not be able to do. Each
// file is a kind of attack; the tests start the real program with the walls that operators use.
package attack
