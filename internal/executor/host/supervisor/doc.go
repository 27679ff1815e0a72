// Package supervisor is the small process that stands between the server and the steps of builds on the host,
// for one build.
//
// The server starts its own program again under the name [Name]; the init function of this package then takes over and the
// program's main never runs. That process adopts every orphan of the steps that it starts, so nothing that a step leaves
// behind is out of its sight, and it outlives the server by the moment that it takes to end all of them.
//
// # Protocol
//
// The supervisor inherits one file, [Control]: a socket. The server sends frames, each an [Op], the length of what follows
// as four bytes, big end first, and that many bytes. With every [Run] goes the file that the command prints to, as a
// descriptor beside the frame's first byte: each command has one of its own, and the supervisor keeps none. The answer is
// one [Reply] of five bytes, a kind and a number: first [Started], then [Ended], or instead of the two [Refused]. A [Ping]
// is answered at once. Ended means that no process is left that came of the command. When the socket closes, for whatever
// reason, the supervisor kills all that runs, at once, and exits.
//
// # Start
//
// Go initialises packages in the order of their import paths as far as their imports allow, so the fewer and the more basic
// this package's imports are, the less of the server is initialised before it takes over. It imports no package that the
// runtime's own os package does not import. That keeps its start at 2 ms; the time goes into the kernel's exec and the
// Go runtime, not into the server's packages.
package supervisor
