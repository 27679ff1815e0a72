package plan

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	imageref "github.com/distribution/reference"
	"github.com/spf13/pflag"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"

	"atelier/internal/fault"
)

// Docker is a step of docker commands. They are carried out by the service, with a container engine; no program runs.
type Docker struct {
	Commands string // one a line, as [Docker.Parse] reads them
}

// DockerCommand is one docker command. One of its parts below Text is set.
type DockerCommand struct {
	Text string // on one line, as a log may show it

	Build  *DockerBuild
	Tag    *DockerTag
	Push   imageref.NamedTagged
	Pull   imageref.Named // with a tag or a digest
	Login  *DockerLogin
	Logout string // the registry
	Save   *DockerSave
}

// DockerBuild builds an image from a Dockerfile of the workspace.
type DockerBuild struct {
	Context    string                 // directory below the workspace; empty for the workspace itself
	Dockerfile string                 // seen from Context
	Names      []imageref.NamedTagged // of the image
	Args       map[string]string      // build arguments
	Labels     map[string]string      // of the image
	Target     string                 // stage of the Dockerfile; empty for the last
	Platform   string                 // such as linux/arm64; empty for the engine's own
	NoCache    bool
	Pull       bool // ask the registry for newer bases
	Quiet      bool
}

// DockerTag gives an image another name.
type DockerTag struct {
	Image imageref.Named // with a tag or a digest
	Name  imageref.NamedTagged
}

// DockerLogin opens a registry for the commands after it.
type DockerLogin struct {
	Registry, User, Password string
}

// DockerSave writes images to a file.
type DockerSave struct {
	File   string // seen from the workspace
	Images []imageref.Named
}

// dockerCommands are the sub-commands that docker steps may have.
var dockerCommands = []string{"build", "tag", "push", "pull", "login", "logout", "save"}

// DockerHub is the registry of images whose names have none.
const DockerHub = "docker.io"

// Parse returns the commands, with the values of variables, which lookup returns, and paths below the workspace. The error is a
// fault.Invalid one, which names all lines with something wrong.
func (d Docker) Parse(workspace string, lookup func(name string) string) ([]DockerCommand, error) {
	commands, problems := d.parse(workspace, lookup)
	if len(problems) > 0 {
		return nil, fault.New(fault.Invalid, "%s", strings.Join(problems, "; "))
	}
	return commands, nil
}

// problems returns what is wrong with the commands, as far as that shows before they run: what has variables is checked when their
// values are known.
func (d Docker) problems() []string {
	_, problems := d.parse("", nil)
	return problems
}

func (d Docker) parse(workspace string, lookup func(string) string) (commands []DockerCommand, problems []string) {
	file, err := parseShell(d.Commands)
	if err != nil {
		return nil, []string{syntaxProblem(err)}
	}
	p := dockerParser{workspace: path.Clean(workspace), lookup: lookup}
	last := uint(0)
	for _, statement := range file.Stmts {
		line := statement.Pos().Line()
		command, err := p.statement(statement)
		if line == last && err == nil {
			err = errors.New("there are several commands; write one docker command a line")
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("line %d: %v", line, err))
		}
		commands, last = append(commands, command), statement.End().Line()
	}
	return commands, problems
}

// syntaxProblem says where the shell's language is broken.
func syntaxProblem(err error) string {
	if at, ok := errors.AsType[syntax.ParseError](err); ok {
		return fmt.Sprintf("line %d: %s", at.Pos.Line(), at.Text)
	}
	return err.Error()
}

// dockerParser reads single commands.
type dockerParser struct {
	workspace string              // absolute
	lookup    func(string) string // values of variables; nil while they are not known
}

func (p dockerParser) statement(s *syntax.Stmt) (command DockerCommand, err error) {
	call, ok := s.Cmd.(*syntax.CallExpr)
	if !ok || s.Background || s.Negated || s.Coprocess || len(s.Redirs) > 0 || len(call.Args) == 0 || len(call.Assigns) > 0 {
		return command, errors.New("only plain commands are understood, which are not joined, moved to the background, redirected or given variables; write one docker command a line")
	}
	if program := call.Args[0].Lit(); program != "docker" {
		return command, fmt.Errorf("the program %s is not docker; use an sh step for it", shown(source(call.Args[0])))
	}
	if len(call.Args) == 1 || !slices.Contains(dockerCommands, call.Args[1].Lit()) {
		return command, fmt.Errorf("%s is not allowed; allowed are docker %s", shown(source(call)), strings.Join(dockerCommands, ", "))
	}
	variables, err := variablesOf(call)
	if err != nil || variables && p.lookup == nil {
		return command, err
	}
	words, err := expand.Fields(&expand.Config{Env: expand.FuncEnviron(func(name string) string {
		if p.lookup == nil {
			return ""
		}
		return p.lookup(name)
	})}, call.Args[2:]...)
	if err != nil {
		return command, err
	}
	verb := call.Args[1].Lit()
	if err := p.command(&command, verb, words); err != nil {
		return command, fmt.Errorf("docker %s: %w", verb, err)
	}
	if command.Login != nil {
		words = []string{"-u", command.Login.User, "-p", "******", command.Login.Registry}
	}
	command.Text = strings.Join(strings.Fields("docker "+verb+" "+strings.Join(words, " ")), " ")
	return command, nil
}

// source returns a part of a command as it is written, on one line.
func source(node syntax.Node) string {
	var text strings.Builder
	_ = syntax.NewPrinter(syntax.SingleLine(true)).Print(&text, node)
	return text.String()
}

// variablesOf reports whether a command has variables. What runs other commands is an error.
func variablesOf(call *syntax.CallExpr) (found bool, err error) {
	syntax.Walk(call, func(node syntax.Node) bool {
		switch node.(type) {
		case *syntax.ParamExp:
			found = true
		case *syntax.CmdSubst, *syntax.ProcSubst, *syntax.ArithmExp:
			err = fmt.Errorf("%s would run another program; have an sh step before it write what is needed, or use a parameter", shown(source(node)))
		}
		return true
	})
	return found, err
}

// command reads what follows a sub-command.
func (p dockerParser) command(c *DockerCommand, verb string, words []string) (err error) {
	flags := pflag.NewFlagSet(verb, pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	parse := func(least, most int, needs string) error {
		if err := flags.Parse(words); err != nil {
			var names []string
			flags.VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
			return fmt.Errorf("%w; allowed are %s", err, strings.Join(names, ", "))
		}
		if flags.NArg() < least || flags.NArg() > most {
			return fmt.Errorf("needs %s, found %d", needs, flags.NArg())
		}
		return nil
	}
	switch verb {
	case "build":
		c.Build, err = p.build(flags, parse)
	case "tag":
		if err = parse(2, 2, "an image and its other name"); err == nil {
			c.Tag, err = dockerTag(flags.Arg(0), flags.Arg(1))
		}
	case "push":
		flags.BoolP("quiet", "q", false, "")
		if err = parse(1, 1, "one image"); err == nil {
			c.Push, err = taggedImage(flags.Arg(0))
		}
	case "pull":
		flags.BoolP("quiet", "q", false, "")
		if err = parse(1, 1, "one image"); err == nil {
			c.Pull, err = anyImage(flags.Arg(0))
		}
	case "login":
		login := &DockerLogin{}
		flags.StringVarP(&login.User, "username", "u", "", "")
		flags.StringVarP(&login.Password, "password", "p", "", "")
		if err = parse(0, 1, "at most one registry"); err == nil {
			c.Login, err = login, login.check(flags.Arg(0))
		}
	case "logout":
		if err = parse(0, 1, "at most one registry"); err == nil {
			c.Logout, err = registryName(flags.Arg(0))
		}
	case "save":
		file := flags.StringP("output", "o", "", "")
		if err = parse(1, 100, "the images"); err == nil {
			c.Save, err = p.save(*file, flags.Args())
		}
	}
	return err
}

func (p dockerParser) build(flags *pflag.FlagSet, parse func(int, int, string) error) (*DockerBuild, error) {
	b := &DockerBuild{}
	file := flags.StringP("file", "f", "", "")
	names := flags.StringArrayP("tag", "t", nil, "")
	args := flags.StringArray("build-arg", nil, "")
	labels := flags.StringArray("label", nil, "")
	flags.StringVar(&b.Target, "target", "", "")
	flags.StringVar(&b.Platform, "platform", "", "")
	flags.BoolVar(&b.NoCache, "no-cache", false, "")
	flags.BoolVar(&b.Pull, "pull", false, "")
	flags.BoolVarP(&b.Quiet, "quiet", "q", false, "")
	for _, usual := range []string{"rm", "force-rm"} { // so it is in any case
		flags.Bool(usual, true, "")
	}
	flags.String("progress", "plain", "") // which there is no other of
	if err := parse(1, 1, "one directory"); err != nil {
		return nil, err
	}
	var ok bool
	if b.Context, ok = p.below(flags.Arg(0)); !ok || strings.Contains(flags.Arg(0), "://") {
		return nil, fmt.Errorf("the context must be a directory below the workspace, found %s", shown(flags.Arg(0)))
	}
	b.Dockerfile = "Dockerfile"
	if *file != "" {
		name, ok := p.below(*file)
		if ok && b.Context != "" {
			name, ok = strings.CutPrefix(name, b.Context+"/")
		}
		if !ok || name == "" {
			return nil, fmt.Errorf("--file must be a file below the context, found %s", shown(*file))
		}
		b.Dockerfile = name
	}
	for _, text := range *names {
		name, err := taggedImage(text)
		if err != nil {
			return nil, err
		}
		b.Names = append(b.Names, name)
	}
	b.Args, b.Labels = make(map[string]string), make(map[string]string)
	for _, text := range *args {
		name, value, given := strings.Cut(text, "=")
		if !given && p.lookup != nil {
			value = p.lookup(name)
		}
		b.Args[name] = value
	}
	for _, text := range *labels {
		name, value, _ := strings.Cut(text, "=")
		b.Labels[name] = value
	}
	return b, nil
}

// below returns a path as it is seen from the workspace; empty for the workspace itself.
func (p dockerParser) below(name string) (string, bool) {
	if name == "" {
		return "", false
	}
	clean := path.Clean(name)
	if path.IsAbs(clean) && p.lookup != nil {
		rest, ok := strings.CutPrefix(clean+"/", p.workspace+"/")
		if !ok {
			return "", false
		}
		clean = path.Clean(rest)
	}
	if clean == "." {
		return "", true
	}
	// Without a value of the workspace, an absolute path may be one below it.
	return clean, below(clean) || path.IsAbs(clean) && p.lookup == nil
}

func dockerTag(image, name string) (*DockerTag, error) {
	from, err := anyImage(image)
	if err != nil {
		return nil, err
	}
	to, err := taggedImage(name)
	return &DockerTag{Image: from, Name: to}, err
}

func (p dockerParser) save(file string, images []string) (*DockerSave, error) {
	if file == "" {
		return nil, errors.New("needs --output, the file to write")
	}
	name, ok := p.below(file)
	if !ok || name == "" {
		return nil, fmt.Errorf("--output must be a file below the workspace, found %s", shown(file))
	}
	s := &DockerSave{File: name}
	for _, text := range images {
		image, err := anyImage(text)
		if err != nil {
			return nil, err
		}
		s.Images = append(s.Images, image)
	}
	return s, nil
}

func (l *DockerLogin) check(registry string) (err error) {
	l.Registry, err = registryName(registry)
	if err == nil && (l.User == "" || l.Password == "") {
		err = errors.New("needs --username and --password: nobody is there to be asked; use a private parameter for the password")
	}
	return err
}

// registryName returns the host of a registry, which may be given as an address.
func registryName(text string) (string, error) {
	_, host, ok := strings.Cut(text, "://")
	if !ok {
		host = text
	}
	host, _, _ = strings.Cut(host, "/")
	switch host {
	case "", "index.docker.io", "registry-1.docker.io":
		host = DockerHub
	}
	if named, err := imageref.ParseNamed(host + "/any/name"); err != nil || imageref.Domain(named) != host {
		return "", fmt.Errorf("%s is not a registry", shown(text))
	}
	return host, nil
}

// anyImage reads the name of an image as docker does, which has usual parts for those that are left out.
func anyImage(text string) (imageref.Named, error) {
	named, err := imageref.ParseNormalizedNamed(text)
	if err != nil {
		return nil, fmt.Errorf("%s is not the name of an image: %w", shown(text), err)
	}
	return imageref.TagNameOnly(named), nil
}

func taggedImage(text string) (imageref.NamedTagged, error) {
	named, err := anyImage(text)
	if err != nil {
		return nil, err
	}
	tagged, ok := named.(imageref.NamedTagged)
	if _, digested := named.(imageref.Digested); !ok || digested {
		return nil, fmt.Errorf("%s must have a tag and no digest", shown(text))
	}
	return tagged, nil
}
