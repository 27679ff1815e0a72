package httpapi

import (
	"net/http"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/hook"
)

func (a *API) hookOperations() []operation {
	return []operation{
		a.hook(handle("ReceiveHook", "POST /v1/hooks/{project_id}/{provider}", own, "Where a host of repositories tells of changes.", a.receiveHook)),
		handle("SetHookSecret", "POST /v1/hooks/{project_id}/secret", own, "Set the secret that hosts of repositories sign with.", a.setHookSecret),
		handle("ListDeliveries", "GET /v1/hooks/{project_id}/deliveries", own, "What hosts of repositories have told, and what came of it.", a.listDeliveries),
		handle("ShowDelivery", "GET /v1/hooks/{project_id}/deliveries/{delivery_id}", own, "One of these deliveries.", a.showDelivery),
		handle("ReplayDelivery", "POST /v1/hooks/{project_id}/deliveries/{delivery_id}/replay", own, "Handle a delivery again.", a.replayDelivery),
		handle("ExecuteAutoBuildJob", "POST /v1/job/{job_id}/auto-execute", current, "Tell of a change that a build task is to be built for.", a.autoExecute),
	}
}

type deliveryIDAnswer struct {
	ID string `json:"delivery_id"`
}

type receiveHookRequest struct {
	ProjectID projectID `path:"project_id"`
	Provider  word      `path:"provider"`
}

// hook is an operation whose proof is a secret of the project.
func (a *API) hook(o operation) operation {
	o.admit = func(c call) (string, error) {
		var project projectID
		if err := project.parse("project_id", c.r.PathValue("project_id")); err != nil {
			return "", err
		}
		return string(project), a.Hooks.Admit(c.ctx(), build.ProjectID(project), hook.Provider(c.r.PathValue("provider")), c.r.Header)
	}
	return open(o)
}

// receiveHook answers as soon as what was told is stored. What comes of it is found among the deliveries.
func (a *API) receiveHook(c call, in receiveHookRequest) (accepted[*envelope[deliveryIDAnswer]], error) {
	id, err := a.Hooks.Receive(c.ctx(), build.ProjectID(in.ProjectID), hook.Provider(in.Provider), c.r.Header, c.body)
	if text, _ := fault.Public(err); fault.Is(err, fault.Limit) { // hosts of repositories know what this status means
		err = &apiError{Status: http.StatusTooManyRequests, Code: codeThrottled, Message: text, retryAfter: 60}
	}
	return accepted[*envelope[deliveryIDAnswer]]{wrap(deliveryIDAnswer{id})}, err
}

type setHookSecretRequest struct {
	ProjectID projectID `path:"project_id"`
	Body      struct {
		Secret string `json:"secret"`
	} `body:"optional"`
}

type hookSecretAnswer struct {
	Secret string            `json:"secret"` // which nobody can read again
	Paths  map[string]string `json:"paths"`  // of the address that a provider is told
}

func (a *API) setHookSecret(c call, in setHookSecretRequest) (*envelope[hookSecretAnswer], error) {
	secret, err := a.Hooks.SetSecret(c.ctx(), c.actor(), build.ProjectID(in.ProjectID), in.Body.Secret)
	answer := hookSecretAnswer{secret, make(map[string]string)}
	for _, p := range hook.Providers {
		answer.Paths[string(p)] = "/v1/hooks/" + string(in.ProjectID) + "/" + string(p)
	}
	return wrap(answer), err
}

type deliveryAnswer struct {
	ID          string        `json:"id"`
	Provider    hook.Provider `json:"provider"`
	Event       string        `json:"event"`
	Ref         text          `json:"ref"`
	After       text          `json:"after"`
	Who         text          `json:"who"`
	ReceiveTime isoTime       `json:"receive_time"`
	HandleTime  isoTime       `json:"handle_time"` // null as long as nobody has looked at it
	Replays     int           `json:"replays"`
	Outcome     text          `json:"outcome"` // why it started nothing in any task
	Results     []hook.Result `json:"results"`
}

func presentDelivery(d hook.Delivery) deliveryAnswer {
	return deliveryAnswer{
		d.ID, d.Provider, d.Event, text(d.Push.Ref), text(d.Push.After), text(d.Push.Who), isoTime(d.ReceivedAt), isoTime(d.HandledAt), d.Replays, text(d.Outcome),
		list(d.Results, func(r hook.Result) hook.Result { return r }),
	}
}

type deliveriesAnswer struct {
	Deliveries []deliveryAnswer `json:"deliveries"`
	Total      int              `json:"total"`
}

type listDeliveriesRequest struct {
	ProjectID projectID `path:"project_id"`
	Page      page      `query:"page_no"`
	PageSize  pageSize  `query:"page_size"`
}

func (a *API) listDeliveries(c call, in listDeliveriesRequest) (*envelope[deliveriesAnswer], error) {
	size := in.PageSize.rows()
	found, total, err := a.Hooks.Deliveries(c.ctx(), c.actor(), build.ProjectID(in.ProjectID), (max(int(in.Page), 1)-1)*size, size)
	return wrap(deliveriesAnswer{list(found, presentDelivery), total}), err
}

type deliveryRequest struct {
	ProjectID projectID `path:"project_id"`
	ID        recordID  `path:"delivery_id"`
}

func (a *API) showDelivery(c call, in deliveryRequest) (*envelope[deliveryAnswer], error) {
	d, err := a.Hooks.Delivery(c.ctx(), c.actor(), build.ProjectID(in.ProjectID), string(in.ID))
	return wrap(presentDelivery(d)), err
}

func (a *API) replayDelivery(c call, in deliveryRequest) (*success, error) {
	return &success{"success"}, a.Hooks.Replay(c.ctx(), c.actor(), build.ProjectID(in.ProjectID), string(in.ID))
}

func (a *API) autoExecute(c call, in jobRequest) (*envelope[deliveryIDAnswer], error) {
	var body struct {
		EventType string `json:"event_type"`
	}
	if err := decodeBody(c.body, &body); err != nil {
		return nil, err
	}
	if body.EventType != "push" && body.EventType != "push_events" {
		return nil, invalid(codeInvalid, "event_type", "must be push or push_events, found %q", shorten(body.EventType))
	}
	id, err := a.Hooks.ReceiveFor(c.ctx(), c.actor(), build.JobID(in.JobID), c.body)
	return wrap(deliveryIDAnswer{id}), err
}
