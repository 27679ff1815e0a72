package host

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// maxSpare is how many supervisors wait for the next build. To start one takes longer than to start a shell.
const maxSpare = 8

// firstSpare is how many directories and sandboxes are made before there is a build. Builds that follow one another without pause are quicker than
// sandboxes, for a while.
const firstSpare = 4

// takeTree returns a supervisor that watches nothing.
func (e *Executor) takeTree() (*tree, error) {
	for {
		select {
		case t := <-e.spare:
			if t.alive() {
				return t, nil
			}
			_ = t.close() // somebody killed it
		default:
			t, err := startTree(e.dir, e.patience)
			if err != nil {
				return nil, err
			}
			if err := e.confine(t); err != nil {
				return nil, err
			}
			return t, nil
		}
	}
}

// confine puts a supervisor that has done nothing yet into a group of its own, or ends it.
func (e *Executor) confine(t *tree) (err error) {
	if e.groups == nil {
		return nil
	}
	if t.group, err = e.groups.add(t.pids(), e.patience); err != nil {
		return errors.Join(err, t.close())
	}
	t.group.open = e.sandbox == nil && e.users == nil
	return nil
}

// leaveTree takes a supervisor back whose build is over. The error is that of one that did not end as it should.
func (e *Executor) leaveTree(t *tree) error {
	if t.alive() {
		select {
		case e.spare <- t:
			return nil
		default: // there are enough
		}
	}
	return t.close()
}

// box is a sandbox: a supervisor, and the directory in which a build is to have its own.
type box struct {
	tree *tree
	dir  string
	args []string // of all sandboxes when this one was made: what they hide may change
}

func (b *box) close() error { return errors.Join(b.tree.close(), removeAll(b.dir)) }

// nest returns the names of the directories that are in that of a build from the start.
func (e *Executor) nest() []string {
	names := []string{"home", "tmp"}
	if e.fixed == "" {
		names = append(names, "workspace")
	}
	return names
}

// makeNest makes a directory for a build, with all that is in it from the start: also the file of its first script.
func (e *Executor) makeNest(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for _, name := range e.nest() {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return errors.Join(err, removeAll(dir))
		}
	}
	if err := os.WriteFile(filepath.Join(dir, scriptFile), nil, 0o600); err != nil {
		return errors.Join(err, removeAll(dir))
	}
	return nil
}

// takeNest makes the directory of a build, of one that is ready if there is one. What a build has had no other gets: whoever was given a
// handle of it while it was open could still watch it, or lock it.
func (e *Executor) takeNest(dir string) error {
	select {
	case spare := <-e.nests:
		_, err := os.Lstat(dir) // an empty directory would be replaced
		if errors.Is(err, fs.ErrNotExist) && os.Rename(spare, dir) == nil {
			return nil
		}
		_ = removeAll(spare)
	default:
	}
	return e.makeNest(dir)
}

// warmNest makes a directory for a build that is still to come.
func (e *Executor) warmNest() {
	dir := e.spareDir()
	if err := e.makeNest(dir); err != nil {
		return // whoever needs one sees why
	}
	select {
	case e.nests <- dir:
	default: // there are enough
		_ = removeAll(dir)
	}
}

// spareDir returns a name for a directory that no build has.
func (e *Executor) spareDir() string { return filepath.Join(e.dir, "spare-"+rand.Text()) }

// newBox makes a sandbox.
func (e *Executor) newBox() (*box, error) {
	b := &box{dir: e.spareDir(), args: e.sandbox.args()}
	err := os.Mkdir(b.dir, 0o700)
	if err == nil && e.users != nil { // who come through, and change nothing
		err = os.Chmod(b.dir, 0o711)
	}
	if err == nil {
		b.tree, err = e.sandbox.startIn(b.args, e.dir, b.dir, e.patience)
	}
	if err == nil {
		err = e.confine(b.tree)
	}
	if err != nil {
		return nil, errors.Join(err, removeAll(b.dir))
	}
	return b, nil
}

// takeBox returns a sandbox, and gives its directory another name.
func (e *Executor) takeBox(dir string) (*box, error) {
	for {
		var b *box
		select {
		case b = <-e.boxes:
		default:
			var err error
			if b, err = e.newBox(); err != nil {
				return nil, err
			}
		}
		if !b.tree.alive() || !slices.Equal(b.args, e.sandbox.args()) {
			_ = b.close() // somebody killed it, or there is more to hide by now
			continue
		}
		if _, err := os.Lstat(dir); err == nil { // an empty directory would be replaced
			return nil, errors.Join(os.ErrExist, b.close())
		}
		if err := os.Rename(b.dir, dir); err != nil {
			return nil, errors.Join(err, b.close())
		}
		b.dir = dir
		return b, nil
	}
}

// leaveBox takes a sandbox back whose build is over and whose directory is empty. The next build gets it if there is no trace of this one
// in it, which is certain only where steps have a user of their own: see [supervisor.Inspect]. Otherwise it is ended, which nobody has to
// wait for, and another one is made.
func (e *Executor) leaveBox(b *box) error {
	if e.users != nil && len(e.boxes) < cap(e.boxes) && b.tree.untouched() {
		spare := e.spareDir()
		if err := os.Rename(b.dir, spare); err == nil {
			b.dir = spare
			e.keepBox(b)
			return nil
		}
	}
	e.warming.Go(func() {
		_ = b.tree.close()
		e.warmBox()
	})
	return removeAll(b.dir)
}

// warmBox makes a sandbox for a build that is still to come.
func (e *Executor) warmBox() {
	b, err := e.newBox()
	if err != nil {
		return // whoever needs one sees why
	}
	e.keepBox(b)
}

// keepBox keeps a sandbox for a build that is still to come.
func (e *Executor) keepBox(b *box) {
	select {
	case e.boxes <- b:
	default: // there are enough
		_ = b.close()
	}
}

// Close ends the supervisors that no build has. No build may be opened any more.
func (e *Executor) Close() error {
	err := e.closeSpare()
	if e.groups != nil {
		e.groups.leave()
	}
	return err
}

func (e *Executor) closeSpare() error {
	e.warming.Wait()
	var failed []error
	for {
		select {
		case t := <-e.spare:
			failed = append(failed, t.close())
		case b := <-e.boxes:
			failed = append(failed, b.close())
		case dir := <-e.nests:
			failed = append(failed, removeAll(dir))
		default:
			return errors.Join(failed...)
		}
	}
}
