package httpapi

import (
	"atelier/internal/build"
	"atelier/internal/endpoint"
)

func (a *API) endpointOperations() []operation {
	return []operation{
		handle("ListEndPoints", "GET /v1/job/{project_id}/nexus", current, "Private dependency repositories of a project.", a.listEndpoints),
	}
}

// nexusModule is the vendor's name for endpoints of the kind [endpoint.Nexus].
const nexusModule = "devcloud2018.codeci_endpoint_nexus.nexusEndpoint"

type listEndpointsRequest struct {
	ProjectID projectID `path:"project_id"`
	Limit     pageSize  `query:"limit" required:"true"`
	Offset    pageIndex `query:"offset"`
}

type endpointsAnswer struct {
	Endpoints []endpointAnswer `json:"endpoints"`
	Total     int              `json:"total"`
}

type endpointAnswer struct {
	ID            string          `json:"uuid"`
	Name          string          `json:"name"`
	URL           string          `json:"url"`
	ModuleID      string          `json:"module_id"`
	ProjectID     build.ProjectID `json:"project_uuid"`
	Region        text            `json:"region_name"`
	Data          text            `json:"data"` // always null, like what is below
	Authorization struct {
		Scheme     text `json:"scheme"`
		Parameters text `json:"parameters"`
	} `json:"authorization"`
	Creator struct {
		ID   text `json:"user_id"`
		Name text `json:"username"`
	} `json:"created_by"`
}

// listEndpoints leaves out the endpoints of repositories of code: the vendor keeps those in another service.
func (a *API) listEndpoints(c call, in listEndpointsRequest) (*envelope[endpointsAnswer], error) {
	project := build.ProjectID(in.ProjectID)
	if err := a.Builds.Check(c.ctx(), c.actor(), build.JobRef{ProjectID: project}, build.View); err != nil {
		return nil, err
	}
	all, err := a.Endpoints.Endpoints(c.ctx(), project, endpoint.Nexus)
	if err != nil {
		return nil, err
	}
	answer := endpointsAnswer{Endpoints: []endpointAnswer{}, Total: len(all)}
	rows := in.Limit.rows()
	from := min(len(all), int(in.Offset)*rows)
	for _, e := range all[from:min(len(all), from+rows)] {
		answer.Endpoints = append(answer.Endpoints, presentEndpoint(e))
	}
	return wrap(answer), nil
}

func presentEndpoint(e endpoint.Endpoint) endpointAnswer {
	out := endpointAnswer{ID: e.ID, Name: e.Name, URL: e.URL, ModuleID: nexusModule, ProjectID: e.ProjectID, Region: text(e.Region)}
	out.Creator.ID, out.Creator.Name = text(e.CreatorID), text(e.CreatorName)
	return out
}
