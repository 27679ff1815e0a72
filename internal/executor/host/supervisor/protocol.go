package supervisor

import "strconv"

// Name is what a process is called, as its argument zero, that is a supervisor. The next argument is the directory of
// the executor that it belongs to.
const Name = "atelier-supervisor"

// The files that a supervisor inherits.
const (
	Control = 3
	Output  = 4
)

// Op is what the server asks for.
type Op byte

// The operations of a server. Terminate and Kill of nothing do nothing: the command may have ended meanwhile.
const (
	Run       Op = 'r' // start a command; an encoded Command follows
	Terminate Op = 't' // send SIGTERM to every process of the command, and then give them time
	Kill      Op = 'k' // end every process of the command now
	Ping      Op = 'p' // answer with Ready; only while no command runs
	Inspect   Op = 'i' // answer with Untouched or Touched; only in a sandbox, and while no command runs
)

// Reply is what the supervisor says about a command.
type Reply byte

// The replies of a supervisor, with the number that each carries.
const (
	Started   Reply = 's' // the process id, which is the id of the session and of the process group too
	Ended     Reply = 'e' // the wait status of the command's own process
	Ready     Reply = 'y' // nothing
	Refused   Reply = 'x' // the errno of fork, chdir or exec
	Untouched Reply = 'u' // nothing; the commands have left no trace in the sandbox
	Touched   Reply = 'm' // nothing; there is something in the sandbox that was not there when the supervisor began
)

// Scratch are the directories of a sandbox, besides the build's own, in which its commands may make files.
var Scratch = [...]string{"/tmp", "/var/tmp", "/dev/shm"}

// Queues is where a sandbox has the POSIX message queues of its commands, which outlive them too.
const Queues = "/dev/mqueue"

// Command is a program to run. It gets an empty standard input, and prints to the one pipe.
type Command struct {
	Path string   // of the program, absolute
	Args []string // argument zero first
	Dir  string   // absolute
	Env  []string // all of it

	// User and Group are those that the program runs as, without any privilege and without a way to get one; 0 for the supervisor's own.
	User, Group int
}

// Encode returns the command as the body of a [Run] frame. No part of a command may hold a zero byte; the kernel could not
// take it either.
func (c Command) Encode() []byte {
	size := len(c.Path) + len(c.Dir) + 40
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
