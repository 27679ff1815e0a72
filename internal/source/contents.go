package source

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"atelier/internal/fault"
)

// maxLevels is how deep submodules may be nested.
const maxLevels = 16

// contents completes the repository in dir with large files and submodules, as far as they are wanted, and then these.
func (k *checkout) contents(ctx context.Context, dir string, level int) error {
	if k.LFS {
		if err := k.pullLFS(ctx, dir); err != nil {
			return err
		}
	}
	if !k.Submodules {
		return nil
	}
	named, err := k.values(ctx, dir, "--blob=HEAD:.gitmodules", `^submodule\.`)
	if err != nil || len(named) == 0 {
		return err
	}
	if level == maxLevels {
		return fault.New(fault.Limit, "the submodules of %s are nested more than %d levels deep", k.URL, maxLevels)
	}
	if err := k.updateSubmodules(ctx, dir); err != nil {
		return err
	}
	// git, not .gitmodules, says where they are: a path in that file could lead anywhere.
	paths, exit, err := k.capture(ctx, dir, "submodule", "--quiet", "foreach", `printf '%s\0' "$sm_path"`)
	if err != nil {
		return err
	}
	if exit != 0 {
		return k.failed("submodule", paths, exit)
	}
	for p := range strings.SplitSeq(strings.TrimSuffix(paths, "\x00"), "\x00") {
		if !filepath.IsLocal(p) {
			return fault.New(fault.Invalid, "a submodule of %s has the path %q, which is not below the repository", k.URL, p)
		}
		if err := k.contents(ctx, path.Join(dir, p), level+1); err != nil {
			return err
		}
	}
	return nil
}

// updateSubmodules checks out the submodules of one level. git writes their addresses into the configuration of the
// repository first, relative ones made absolute, and there they are checked before anything is fetched from them.
func (k *checkout) updateSubmodules(ctx context.Context, dir string) error {
	if err := k.git(ctx, dir, "submodule", "--quiet", "init"); err != nil {
		return err
	}
	addresses, err := k.values(ctx, dir, "--local", `^submodule\..*\.url$`)
	if err != nil {
		return err
	}
	if err := k.checkAll(ctx, addresses, ".gitmodules"); err != nil {
		return err
	}
	update := []string{"submodule", "update", "--checkout", "--force"}
	if k.Depth == 0 {
		return k.git(ctx, dir, update...)
	}
	_, exit, err := k.show(ctx, dir, append(update, fmt.Sprintf("--depth=%d", min(k.Depth, everything)))...)
	if err != nil || exit == 0 {
		return err
	}
	// A server may not give out a commit that is not the tip of a branch.
	whole := fmt.Sprintf("git fetch --quiet --depth=%d origin '+refs/heads/*:refs/remotes/origin/*'", everything)
	if err := k.git(ctx, dir, "submodule", "--quiet", "foreach", whole); err != nil {
		return err
	}
	return k.git(ctx, dir, update...)
}

// setting is an entry of a configuration file.
type setting struct{ name, value string }

// values returns the settings in a file whose names match a pattern; none if there is no such file.
func (k *checkout) values(ctx context.Context, dir, file, pattern string) ([]setting, error) {
	said, exit, err := k.capture(ctx, dir, "config", "--null", file, "--get-regexp", pattern)
	switch {
	case err != nil:
		return nil, err
	case exit == 1 && (said == "" || strings.Contains(said, "unable to resolve config blob")):
		return nil, nil
	case exit != 0:
		return nil, fault.New(fault.Invalid, "a configuration file in the repository %s cannot be read (%s)", k.URL, file)
	}
	var list []setting
	for entry := range strings.SplitSeq(strings.TrimSuffix(said, "\x00"), "\x00") {
		name, value, _ := strings.Cut(entry, "\n")
		list = append(list, setting{name, value})
	}
	return list, nil
}

// checkAll checks addresses that a file of the repository gives.
func (k *checkout) checkAll(ctx context.Context, addresses []setting, file string) error {
	for _, a := range addresses {
		if err := k.client.checkURL(ctx, a.value); err != nil {
			sentence, public := fault.Public(err)
			if !public {
				return err
			}
			return fault.New(fault.Invalid, "%s of %s, %q: %s", file, k.URL, a.name, sentence)
		}
	}
	return nil
}
