package supervisor

import "strconv"

// Name is what a process is called, as its argument zero, that is a supervisor. The next argument is the directory of
// the executor that it belongs to.
const Name = "atelier-supervisor"

// Control is the number of the file that a supervisor inherits: the socket to the server.
const Control = 3

// Op is what the server asks for.
type Op byte

// The operations of a server. Terminate and Kill of nothing do nothing: the command may have ended meanwhile.
const (
	Run       Op = 'r' // start a command; an encoded Command follows, and the frame carries the file that it prints to
	Terminate Op = 't' // send SIGTERM to every process of the command, and then give them time
	Kill      Op = 'k' // end every process of the command now
	Ping      Op = 'p' // answer with Ready; only while no command runs
)

// Reply is what the supervisor says about a command.
type Reply byte

// The replies of a supervisor, with the number that each carries.
const (
	Started Reply = 's' // the process id, which is the id of the session and of the process group too
	Ended   Reply = 'e' // the wait status of the command's own process
	Ready   Reply = 'y' // nothing
	Refused Reply = 'x' // the errno of fork, chdir or exec
)

// BuildDir is how the directory of a build is called in its sandbox.
const BuildDir = "/build"

// Scratch are the directories of a sandbox, besides the build's own, in which its commands may make files.
var Scratch = [...]string{"/tmp", "/var/tmp", "/dev/shm"}

// Command is a program to run. It gets an empty standard input, and prints to the file that comes with it.
type Command struct {
	Path string   // of the program, absolute
	Args []string // argument zero first
	Dir  string   // absolute
	Env  []string // all of it

	// User and Group are those that the program runs as; 0 for the supervisor's own. In a sandbox it has no privilege and no way to
	// get one.
	User, Group int

	// Processes is how many processes and threads the user may have in a sandbox, as far as the kernel counts them for each of them; 0 for
	// any number.
	Processes int
}

// Encode returns the command as the body of a [Run] frame. No part of a command may hold a zero byte; the kernel could not
// take it either.
func (c Command) Encode() []byte {
	size := len(c.Path) + len(c.Dir) + 50
	for _, s := range c.Args {
		size += len(s) + 1
	}
	for _, s := range c.Env {
		size += len(s) + 1
	}
	b := make([]byte, 0, size)
	add := func(s string) { b = append(append(b, s...), 0) }
	add(c.Path)
	add(c.Dir)
	add(strconv.Itoa(c.User))
	add(strconv.Itoa(c.Group))
	add(strconv.Itoa(c.Processes))
	add(strconv.Itoa(len(c.Args)))
	for _, s := range c.Args {
		add(s)
	}
	for _, s := range c.Env {
		add(s)
	}
	return b
}

// Frame returns the bytes that ask for an operation.
func Frame(op Op, body []byte) []byte {
	return append(header(byte(op), uint32(len(body))), body...)
}

// header returns the five bytes that frames and replies begin with.
func header(kind byte, n uint32) []byte {
	return []byte{kind, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// HeaderSize is the length of a reply, and of what a frame begins with.
const HeaderSize = 5

// Header takes the first five bytes of a frame, or a reply, apart.
func Header(b [HeaderSize]byte) (kind byte, n uint32) {
	return b[0], uint32(b[1])<<24 | uint32(b[2])<<16 | uint32(b[3])<<8 | uint32(b[4])
}
