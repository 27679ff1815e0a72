package httpapi

import (
	"slices"
	"time"

	"atelier/internal/build"
)

func (a *API) flowOperations() []operation {
	return []operation{
		handle("ShowBuildRecordFlowGraph", "GET /v1/record/{build_flow_record_id}/flow-graph", current, "The jobs of a multi-task build.", a.showBuildRecordFlowGraph),
		handle("ShowFlowGraph", "GET /v3/{build_flow_record_id}/flow-graph", retiring, "The jobs of a multi-task build.", a.showFlowGraph),
	}
}

type flowRequest struct {
	RecordID recordID `path:"build_flow_record_id"`
}

// flowGraph is a flow as clients draw it. It is empty for a build that is none.
type flowGraph struct {
	Edges    []flowEdge   `json:"edges"`
	Vertices []flowVertex `json:"vertices"`
}

// flowEdge says that the job of one record depends on that of another.
type flowEdge struct {
	From build.RecordID `json:"from"`
	To   build.RecordID `json:"to"`
}

type flowVertex struct {
	ID            build.RecordID `json:"id"`
	Status        string         `json:"status"` // empty for a job that was not run, or not yet
	DisplayName   string         `json:"display_name"`
	BuildDuration int64          `json:"build_duration"`
	StartTime     text           `json:"start_time"`
	FinishTime    text           `json:"finish_time"`
	BuildNo       string         `json:"build_no"`
}

func (a *API) flowGraph(c call, in flowRequest) (flowGraph, error) {
	jobs, err := a.Builds.Flow(c.ctx(), c.actor(), build.RecordID(in.RecordID))
	if err != nil {
		return flowGraph{}, err
	}
	graph := flowGraph{Edges: []flowEdge{}, Vertices: []flowVertex{}}
	for _, j := range jobs {
		graph.Vertices = append(graph.Vertices, a.flowVertex(j, a.Now()))
		for _, name := range j.DependsOn {
			i := slices.IndexFunc(jobs, func(other build.FlowJob) bool { return other.Name == name })
			graph.Edges = append(graph.Edges, flowEdge{From: j.ID, To: jobs[i].ID})
		}
	}
	return graph, nil
}

func (a *API) showBuildRecordFlowGraph(c call, in flowRequest) (*envelope[flowGraph], error) {
	graph, err := a.flowGraph(c, in)
	return wrap(graph), err
}

func (a *API) showFlowGraph(c call, in flowRequest) (*recordInfoAnswer[flowGraph], error) {
	graph, err := a.flowGraph(c, in)
	return &recordInfoAnswer[flowGraph]{Success: true, Result: graph}, err
}

func (a *API) flowVertex(j build.FlowJob, now time.Time) flowVertex {
	v := flowVertex{ID: j.ID, DisplayName: j.Name}
	if j.Began() {
		v.Status, _ = recordStatus(j.Child.State)
		v.BuildDuration, v.BuildNo = build.Millis(j.Child.RunTime(now)), number(j.Child.Number)
		v.StartTime, v.FinishTime = a.local(startOf(j.Child)), a.local(j.Child.FinishedAt)
	}
	return v
}
