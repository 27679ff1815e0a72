package container

import (
	"context"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/distribution/reference"
	"mvdan.cc/sh/v3/shell"

	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/plan"
)

// maxDockerfile is the size, in bytes, up to which a Dockerfile is read.
const maxDockerfile = 1 << 20

// dockerfile returns the text of a Dockerfile, and whether images of the build's own are in it, which have their private names there.
// It refuses images of registries that builds may not use.
func (i *images) dockerfile(ctx context.Context, files executor.Files, spec plan.DockerBuild) (text []byte, changed bool, err error) {
	name := path.Join(spec.Context, spec.Dockerfile)
	f, err := files.ReadFile(name)
	if err != nil {
		return nil, false, fault.Wrap(err, fault.Invalid, "there is no Dockerfile at %s in the workspace", name)
	}
	defer f.Close()
	text, err = io.ReadAll(io.LimitReader(f, maxDockerfile+1))
	if err != nil {
		return nil, false, fmt.Errorf("read the Dockerfile: %w", err)
	}
	if len(text) > maxDockerfile {
		return nil, false, fault.New(fault.Invalid, "%s has more than %d bytes", name, maxDockerfile)
	}
	bases := bases{own: i.names, given: spec.Args, args: make(map[string]string), stages: make(map[string]bool)}
	var out strings.Builder
	continued := false
	for line := range strings.Lines(string(text)) {
		if !continued {
			line = bases.line(line)
		}
		out.WriteString(line)
		if trimmed := strings.TrimSpace(line); trimmed != "" && !strings.HasPrefix(trimmed, "#") {
			continued = strings.HasSuffix(trimmed, "\\")
		}
	}
	for _, registry := range bases.registries {
		if err := i.reach().check(ctx, registry); err != nil {
			return nil, false, err
		}
	}
	return []byte(out.String()), bases.changed, nil
}

// bases finds the images that a Dockerfile begins with or copies from.
type bases struct {
	own     map[string]string // private names
	given   map[string]string // build arguments
	args    map[string]string // values of the arguments before the first stage
	stages  map[string]bool   // names of those so far, which come before images of the same name
	inStage bool
	changed bool

	registries []string // of the images that are not the build's own
}

var (
	argLine  = regexp.MustCompile(`(?i)^\s*ARG\s+([A-Za-z_]\w*)(?:=(\S*))?\s*$`)
	fromLine = regexp.MustCompile(`(?is)^(\s*FROM\s+(?:--\S+\s+)*)(\S+)(?:(\s+AS\s+)(\S+))?(\s*)$`)
	copyLine = regexp.MustCompile(`(?is)^(\s*COPY\s.*?--from=)(\S+)(.*)$`)
)

// line returns a line as the engine is to see it.
func (b *bases) line(line string) string {
	if arg := argLine.FindStringSubmatch(line); arg != nil && !b.inStage {
		b.args[arg[1]] = strings.Trim(arg[2], `"'`)
		if value, ok := b.given[arg[1]]; ok {
			b.args[arg[1]] = value
		}
		return line
	}
	if from := fromLine.FindStringSubmatch(line); from != nil {
		b.inStage = true
		base := b.image(from[2])
		if from[4] != "" {
			b.stages[strings.ToLower(from[4])] = true
		}
		return from[1] + base + from[3] + from[4] + from[5]
	}
	if copied := copyLine.FindStringSubmatch(line); copied != nil {
		return copied[1] + b.image(copied[2]) + copied[3]
	}
	return line
}

// image returns the private name of an image, or what stands there when it is none of the build's own.
func (b *bases) image(written string) string {
	text, err := shell.Expand(written, func(name string) string { return b.args[name] })
	if err != nil || b.stages[strings.ToLower(text)] {
		return written
	}
	named, err := reference.ParseNormalizedNamed(text)
	if err != nil {
		return written
	}
	private, ok := b.own[reference.TagNameOnly(named).String()]
	if !ok {
		b.registries = append(b.registries, reference.Domain(named))
		return written
	}
	b.changed = true
	return private
}
