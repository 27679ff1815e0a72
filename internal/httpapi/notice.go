package httpapi

import (
	"slices"

	"atelier/internal/build"
	"atelier/internal/notice"
)

func (a *API) noticeOperations() []operation {
	return []operation{
		handle("ListNotice", "GET /v3/jobs/notice/{job_id}/query", outdated, "What is told of a build task, by channel.", a.listNotices),
		handle("UpdateNotice", "POST /v3/jobs/notice/{job_id}/update", outdated, "Change what is told over one channel.", a.updateNotice),
		handle("DisableNotice", "POST /v3/jobs/notice/{job_id}/disable", outdated, "Tell nothing more over one channel.", a.disableNotice),
		handle("ShowJobNoticeConfigInfo", "GET /v1/job/{job_id}/notice", current, "What is told of a build task, by channel.", a.listNotices),
		handle("UpdateNewNoticeNew", "PUT /v1/job/{job_id}/notice", current, "Change what is told over one channel.", a.updateNotice),
		handle("CheckWebhookUrl", "POST /v1/job/check/webhook-url", current, "Send a message to a robot, to try its address.", a.checkWebhook),
		handle("ShowProjectNotice", "GET /v1/projects/{project_id}/notice", own, "What is told of the build tasks that follow their project, by channel.", a.listProjectNotices),
		handle("UpdateProjectNotice", "PUT /v1/projects/{project_id}/notice", own, "Change what is told of them over one channel.", a.updateProjectNotice),
		handle("ListMessages", "GET /v1/messages", own, "System messages for the caller.", a.listMessages),
		handle("ReadMessage", "POST /v1/messages/{message_id}/read", own, "Note that the caller has read a message.", a.readMessage),
	}
}

type noticeAnswer struct {
	NoticeType  notice.Channel        `json:"notice_type"`
	EnableMap   map[notice.Event]bool `json:"enable_map"`
	ParamConfig text                  `json:"param_config"`
}

func presentNotice(s notice.Setting) noticeAnswer {
	answer := noticeAnswer{NoticeType: s.Channel, EnableMap: make(map[notice.Event]bool), ParamConfig: text(s.Config)}
	for _, e := range notice.Events {
		answer.EnableMap[e] = slices.Contains(s.Events, e)
	}
	return answer
}

// taskNoticeAnswer also says whether the rest is the project's.
type taskNoticeAnswer struct {
	noticeAnswer
	UseProjectNotice bool `json:"use_project_notice"`
}

func (a *API) listNotices(c call, in jobRequest) (*envelope[[]taskNoticeAnswer], error) {
	settings, err := a.Notices.Settings(c.ctx(), c.actor(), build.JobID(in.JobID))
	return wrap(list(settings, func(s notice.Setting) taskNoticeAnswer { return taskNoticeAnswer{presentNotice(s), s.Follows} })), err
}

type projectNoticeRequest struct {
	ProjectID projectID `path:"project_id"`
}

func (a *API) listProjectNotices(c call, in projectNoticeRequest) (*envelope[[]noticeAnswer], error) {
	settings, err := a.Notices.ProjectSettings(c.ctx(), c.actor(), build.ProjectID(in.ProjectID))
	return wrap(list(settings, presentNotice)), err
}

type noticeBody struct {
	NoticeType       string          `json:"notice_type" doc:"required"`
	Events           *[]notice.Event `json:"enabled_event_type_names" doc:"required"`
	SendSwitch       looseBool       `json:"send_switch"`
	ParamConfig      *string         `json:"param_config"`
	UseProjectNotice looseBool       `json:"use_project_notice"`
}

// change is what a body asks for.
func (b noticeBody) change() (notice.Change, error) {
	channel, err := notice.ParseChannel(b.NoticeType)
	if err != nil {
		return notice.Change{}, err
	}
	if b.Events == nil {
		return notice.Change{}, invalid(codeInvalid, "enabled_event_type_names", "is missing")
	}
	change := notice.Change{Channel: channel, Events: *b.Events, Config: b.ParamConfig}
	if on := b.SendSwitch.value; on != nil && !*on {
		change.Events = nil
	}
	if change.Config != nil && (*change.Config == "" || *change.Config == build.Mask) {
		change.Config = nil // what the client has read back
	}
	if follow := b.UseProjectNotice.value; follow != nil {
		change.Follows = *follow
	}
	return change, nil
}

type updateNoticeRequest struct {
	JobID jobID      `path:"job_id"`
	Body  noticeBody `body:"json"`
}

func (a *API) updateNotice(c call, in updateNoticeRequest) (*envelope[string], error) {
	change, err := in.Body.change()
	if err != nil {
		return nil, err
	}
	return wrap(""), a.Notices.Set(c.ctx(), c.actor(), build.JobID(in.JobID), change)
}

type updateProjectNoticeRequest struct {
	ProjectID projectID  `path:"project_id"`
	Body      noticeBody `body:"json"`
}

func (a *API) updateProjectNotice(c call, in updateProjectNoticeRequest) (*envelope[string], error) {
	change, err := in.Body.change()
	if err != nil {
		return nil, err
	}
	return wrap(""), a.Notices.SetProject(c.ctx(), c.actor(), build.ProjectID(in.ProjectID), change)
}

type disableNoticeRequest struct {
	JobID      jobID `path:"job_id"`
	NoticeType word  `query:"notice_type" required:"true" doc:"MESSAGE|MAIL|WECOM|DING_TALK|FEISHU"`
}

func (a *API) disableNotice(c call, in disableNoticeRequest) (*envelope[string], error) {
	channel, err := notice.ParseChannel(string(in.NoticeType))
	if err != nil {
		return nil, err
	}
	return wrap(""), a.Notices.Set(c.ctx(), c.actor(), build.JobID(in.JobID), notice.Change{Channel: channel})
}

type checkWebhookRequest struct {
	Body struct {
		JobID      string `json:"job_id" doc:"required"`
		NoticeType string `json:"notice_type" doc:"required"`
		WebhookURL string `json:"webhook_url" doc:"required"`
	} `body:"json"`
}

func (a *API) checkWebhook(c call, in checkWebhookRequest) (*envelope[*string], error) {
	var job jobID
	if err := job.parse("job_id", in.Body.JobID); err != nil {
		return nil, err
	}
	channel, err := notice.ParseChannel(in.Body.NoticeType)
	if err != nil {
		return nil, err
	}
	return wrap[*string](nil), a.Notices.Test(c.ctx(), c.actor(), build.JobID(job), channel, in.Body.WebhookURL)
}

type messageAnswer struct {
	ID       string       `json:"id"`
	JobID    build.JobID  `json:"job_id"`
	Event    notice.Event `json:"event"`
	Title    string       `json:"title"`
	Text     string       `json:"text"`
	Time     isoTime      `json:"time"`
	ReadTime isoTime      `json:"read_time"` // null when it was not read
}

type messagesAnswer struct {
	Messages []messageAnswer `json:"messages"`
	Total    int             `json:"total"`
	Unread   int             `json:"unread"`
}

type listMessagesRequest struct {
	Page     page     `query:"page_no"`
	PageSize pageSize `query:"page_size"`
}

func (a *API) listMessages(c call, in listMessagesRequest) (*envelope[messagesAnswer], error) {
	size := in.PageSize.rows()
	messages, total, unread, err := a.Notices.Messages(c.ctx(), c.actor(), (max(int(in.Page), 1)-1)*size, size)
	return wrap(messagesAnswer{list(messages, func(m notice.UserMessage) messageAnswer {
		return messageAnswer{m.ID, m.JobID, m.Event, m.Title, m.Text, isoTime(m.At), isoTime(m.ReadAt)}
	}), total, unread}), err
}

type readMessageRequest struct {
	ID word `path:"message_id"`
}

func (a *API) readMessage(c call, in readMessageRequest) (*success, error) {
	return &success{"success"}, a.Notices.Read(c.ctx(), c.actor(), string(in.ID))
}
