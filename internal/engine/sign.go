package engine

import (
	"strings"

	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/glob"
	"atelier/internal/plan"
)

// hideSigning makes the passwords of steps that sign secrets of the build, also when they stand in the build file.
func (r *run) hideSigning(steps []plan.Step, p *prepared) {
	for _, step := range steps {
		if step.Sign != nil {
			r.hide(p, step.Sign.KeystorePassword)
			r.hide(p, step.Sign.KeyPassword)
		}
	}
}

// signing returns the commands that sign the packages of a workspace. Key store and passwords are private files of theirs: a command line
// or a variable can be read by every process of its user.
func (r *run) signing(files executor.Files, s plan.APKSigning) (*plan.Script, error) {
	if r.Files == nil {
		return nil, fault.New(fault.Invalid, "there is no file management here, only at a server, and so no key store; an sh step can call apksigner with one of your own")
	}
	pattern, err := glob.Parse(s.Pattern)
	if err != nil {
		return nil, err
	}
	var packages []string
	err = files.Walk(r.ctx, func(file string) error {
		if pattern.Match(file) {
			packages = append(packages, file)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(packages) == 0 {
		return nil, fault.New(fault.Invalid, "no file of the workspace matches the pattern %s", s.Pattern)
	}
	keystore, err := r.file(s.Keystore)
	if err != nil {
		return nil, err
	}
	return &plan.Script{Command: signCommands(s, packages), Private: signFiles(s, keystore)}, nil
}

func signFiles(s plan.APKSigning, keystore []byte) []plan.PrivateFile {
	private := []plan.PrivateFile{{Variable: plan.KeystoreVariable, Content: string(keystore)}}
	if s.KeystorePassword != "" {
		private = append(private, plan.PrivateFile{Variable: plan.KeystorePasswordVariable, Content: s.KeystorePassword + "\n"})
	}
	if s.KeyPassword != "" {
		private = append(private, plan.PrivateFile{Variable: plan.KeyPasswordVariable, Content: s.KeyPassword + "\n"})
	}
	return private
}

// signCommands sign one package after the other, and check each.
func signCommands(s plan.APKSigning, packages []string) string {
	sign := `apksigner sign --ks "$` + plan.KeystoreVariable + `" --ks-key-alias ` + plan.Quoted(s.Alias)
	if s.KeystorePassword != "" {
		sign += ` --ks-pass "file:$` + plan.KeystorePasswordVariable + `"`
	}
	if s.KeyPassword != "" {
		sign += ` --key-pass "file:$` + plan.KeyPasswordVariable + `"`
	}
	var b strings.Builder
	for _, file := range packages {
		name := plan.Quoted("./" + file)
		b.WriteString("printf 'Signing %s\\n' " + name + "\n" + sign + " " + s.Arguments + " " + name + "\napksigner verify " + name + "\necho 'Result: Signed'\n")
	}
	return b.String()
}
