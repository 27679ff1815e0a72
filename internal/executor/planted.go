package executor

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"

	"atelier/internal/plan"
)

// CheckPlanted says how a checkout ends that git must not begin: one with submodules, where a step has put a repository into the workspace. One that
// lies where a submodule will be would get to configure git, and a configuration can name programs to run. Git is the server's: it has
// credentials, and no step's limits.
func (d Directory) CheckPlanted(checkout plan.Checkout, out io.Writer) (Result, error) {
	if !checkout.Submodules {
		return Result{}, nil
	}
	found, err := d.findRepository(checkout.Path)
	if err != nil {
		return Result{}, fmt.Errorf("look for repositories in the workspace: %w", err)
	}
	if found == "" {
		return Result{}, nil
	}
	why := "there is already a repository in the workspace, at " + found
	_, err = fmt.Fprintf(out, "%s\n", why)
	return Result{ExitCode: 1, Reason: why}, err
}

// findRepository returns where in a directory of the workspace, at any depth, there is something that git may take for a
// repository; an empty path when nowhere.
func (d Directory) findRepository(dir string) (found string, err error) {
	root, err := d.open()
	if err != nil {
		return "", err
	}
	defer root.Close()
	start := path.Clean("./" + filepath.ToSlash(dir))
	if !fs.ValidPath(start) {
		return "", nil // which the checkout refuses
	}
	err = fs.WalkDir(root.FS(), start, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil && entry == nil:
			return fs.SkipAll // it is not there, or a link leads out of the workspace to it, which the checkout refuses
		case err != nil: // git could not look into it either
			found = name
			return fs.SkipAll
		case entry.Name() == ".git":
			found = path.Dir(name)
			return fs.SkipAll
		}
		return nil
	})
	return found, err
}
