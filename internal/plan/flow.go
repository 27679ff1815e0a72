package plan

type Flow struct {
	Jobs     []FlowJob
	Warnings []string
}
type FlowJob struct {
	Name      string
	DependsOn []string
	BuildRef  string
	Skipped   bool
	Context   FlowContext
}
type FlowContext struct {
	JobParams  []Param
	FlowParams []Param
	Resource   Resource
}

func ReadFlow(in Input) (flow Flow, ok bool, err error) { return }
