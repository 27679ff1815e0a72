// Package plan turns what a job says, or a build file, into a [Plan]: the steps of one build with every parameter filled in.
//
// It is a pure function of its input. It reads no file, asks no clock and no network, and it finds every problem of a build
// file at once, each with line and column. All executors run the same Plan; none of them reads YAML.
package plan

// Plan is what one build does.
type Plan struct {
	Resource Resource
	Env      []Param // of every step: the parameters, custom and system
	Steps    []Step
	Warnings []string // for the log: what was ignored, and why
	Advice   []string // for who writes the build file: what its scripts do with parameters that may not be meant
}

// Resource says where a build runs. Empty fields take what the job says.
type Resource struct {
	Type  string // docker or custom; docker when empty
	Arch  string // X86 or ARM, upper case
	Class string // such as 2U8G, upper case
	Pool  string // of a custom executor
}

// Param is a parameter with its final value, in plain text.
type Param struct {
	Name  string
	Value string
}

// Step is one step of a build. Exactly one of the pointers is set, unless its module is unknown.
type Step struct {
	Keyword    string   // of the build file, such as npm
	Name       string   // shown in the log and the record
	Image      string   // that the file asks for; empty for the default
	IgnoreFail bool     // the build goes on when the step fails
	Caches     []string // the tools whose caches it uses, such as npm
	EndpointID string   // of the service endpoint that opens the repository of a checkout; empty for what the server has
	Unknown    bool     // fails: the keyword is the id of a module that is not known any more

	Checkout *Checkout
	Manifest *ManifestCheckout
	Script   *Script
	Upload   *Upload
	Download *Download
	Fetch    *Fetch
	Sign     *APKSigning
	Build    *ImageBuild
	Docker   *Docker
	Store    *ObjectUpload
}

// Checkout puts a repository into the workspace.
type Checkout struct {
	URL        string
	Branch     string
	Tag        string
	Commit     string // wins over Tag, which wins over Branch
	Depth      int    // of the history; 0 for all of it
	Submodules bool
	LFS        bool
	Path       string // directory below the workspace; empty for the workspace itself
}

// Script runs commands in the workspace, with bash where there is one and sh otherwise. The first command that fails ends it.
type Script struct {
	Command string
	Tests   *Tests // to be collected when the commands have ended, also when they failed; nil for none

	Repositories []Repository // for Maven's settings, which the commands are to use; none for Maven's own

	Private []PrivateFile // none in a plan
}

// PrivateFile holds what only the commands of one step may see, such as passwords. The executor keeps it outside of the workspace for as
// long as the script runs.
type PrivateFile struct {
	Variable string // of the commands' environment, which leads to the file
	Content  string
}
