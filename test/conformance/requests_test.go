package conformance_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"atelier/internal/server/servertest"
)

// Parts of bodies.
const (
	parametersBody = `"parameters":[{"name":"hudson.model.StringParameterDefinition","params":[{"name":"name","value":"mode"},{"name":"type","value":"customizeparam"},` +
		`{"name":"defaultValue","value":"fast","limits":[{"disable":"0","display_name":"Fast","name":"fast"}]}]}]`
	stepsBody = `"steps":[{"module_id":"sh","name":"Run","version":"1.0","enable":true,"properties":{"command":"true"}}]`
	taskBody  = `"project_id":"$PROJECT","job_name":"$NAME","arch":"$ARCH","flavor":"2u8g","host_type":"devcloud","build_config_type":"ACTION","auto_update_sub_module":"false",` +
		`"scms":[{"url":"$REPO","scm_type":"codehub","branch":"main","build_type":"branch","depth":"1","repo_id":"7","repo_name":"app","group_name":"team",` +
		`"web_url":"https://git.example.org/codehub/7/home","is_auto_build":false,"enable_git_lfs":false,"end_point_id":"none","source":"own"}],` +
		`"triggers":[{"name":"hudson.triggers.TimerTrigger","parameters":[{"name":"spec","value":"0 0 1 1 *"},{"name":"timeZoneId","value":"UTC"}]}],` + stepsBody + `,` + parametersBody
	newTaskBody  = `"build_if_code_updated":false,"timeout":{"limit":"1","unit":"hour"},"group_id":"$GROUP",` + taskBody
	templateBody = `{"name":"$NAME","tool_type":"go","description":"how we build","template":{` + stepsBody + `},` + parametersBody + `}`
	startBody    = `{"job_id":"$FRESH","parameter":[{"name":"mode","value":"slow"}],"scm":{"build_tag":null,"build_commit_id":null}}`
)

// bodies are the bodies of requests. A word with a dollar sign stands for something of the world.
var bodies = map[string]string{
	"AddKeystorePermission":         `{"keystore_id":"$FILE","user_id":"$USER","user_name":"x","usage":true,"modify":false,"delete":false,"setting":false,"can_absent":true}`,
	"ApplyProjectPermission":        `{"project_id":"$PROJECT","job_id":"$JOB","project_switch":true}`,
	"BatchDeleteBuildJobs":          `{"job_ids":["$FRESH"]}`,
	"BatchUpdateJobRolePermission":  `{"project_id":"$PROJECT","job_ids":["$FRESH"],"project_switch":false,"permissions":[{"role_id":6,"is_view":true}]}`,
	"CheckWebhookUrl":               `{"job_id":"$JOB","notice_type":"WECOM","webhook_url":"$ROBOT"}`,
	"CopyJob":                       `{"copy_job_id":"$JOB",` + taskBody + `}`,
	"CreateBuildJob":                `{` + newTaskBody + `}`,
	"CreateJobGroup":                `{"name":"$NAME","parent_id":"$GROUP"}`,
	"CreateNewJob":                  `{` + newTaskBody + `}`,
	"CreateTemplate":                templateBody,
	"CreateTemplates":               templateBody,
	"DeleteRecyclingJobs":           `{"job_ids":["$DELETED"]}`,
	"DisableTheJob":                 `{"disabled":true,"reason":"for a while"}`,
	"ExecuteJob":                    startBody,
	"ListBriefRecord":               `["$BUILD_PROJECT"]`,
	"ListRecommendOfficialTemplate": `{"git_url":"$REPO","branch":"main"}`,
	"MoveGroup":                     `{"group_id":"$GROUP","jobs":[{"job_id":"$FRESH"}]}`,
	"RestoreRecyclingJobs":          `{"job_ids":["$DELETED"]}`,
	"RunJob":                        startBody,
	"SaveTemplateUsedInfo":          `{"job_id":"$JOB","template_id":"$TEMPLATE"}`,
	"SetKeepTime":                   `{"keep_time":7}`,
	"ShowDomainsStatuses":           `{"domain_ids":"$DOMAIN"}`,
	"ShowPackageSpecCountDown":      `{"service_type":"a","resource_id":"b","reminder_day":"7"}`,
	"StopJob":                       `{"job_id":"$RUNNING","build_no":"1"}`,
	"UpdateBuildJob":                `{"job_id":"$FRESH",` + taskBody + `}`,
	"UpdateJobGroup":                `{"id":"$NEW_GROUP","name":"$NAME","parent_id":"$GROUP"}`,
	"UpdateKeystore":                `{"id":"$FILE","keystore_name":"release.jks","description":"","share":1}`,
	"UpdateKeystorePermission":      `{"id":"$GRANT","keystore_id":"$FILE","user_name":"x","usage":true,"modify":true,"delete":false}`,
	"UpdateNewJob":                  `{"job_id":"$FRESH",` + taskBody + `}`,
	"UpdateNewNoticeNew":            `{"notice_type":"MESSAGE","enabled_event_type_names":["buildJobFail"]}`,
	"UpdateNotice":                  `{"notice_type":"MESSAGE","enabled_event_type_names":["buildJobFail"]}`,
}

// fields are the values of path and query parameters, by the name of the SDK's field. Those behind the name of an operation are its own.
var fields = map[string]string{
	"JobId": "$JOB", "ProjectId": "$PROJECT", "RecordId": "$RECORD", "BuildFlowRecordId": "$FLOW_RECORD", "BuildProjectId": "$BUILD_PROJECT", "DomainId": "$DOMAIN",
	"BuildNo": "1", "BuildNumber": "1", "Offset": "0", "Limit": "10", "PageIndex": "0", "PageSize": "10", "Interval": "7", "StartOffset": "0", "EndOffset": "0", "Size": "1000",
	"OriginalNo": "0", "RevisedlNo": "1", "RepositoryName": "app", "JobName": "free", "TaskName": "stage1", "NoticeType": "MAIL", "Arch": "$ARCH", "ImageId": "$IMAGE",
	"RootId": "$ROOT", "FileName": "release.jks", "Name": "release.jks", "Id": "$FILE", "KeystoreId": "$FILE", "Page": "1", "Uuid": "$TEMPLATE",
	"SourceGroupId": "$GROUP", "TargetGroupId": "$OTHER_GROUP", "StartTime": "$YESTERDAY_TIME", "EndTime": "$TOMORROW_TIME", "PermissionId": "$GRANT",

	"ShowJobConfig JobId": "$FULL", "ListJobConfig JobId": "$FULL", "ShowJobPipelineInfo JobId": "$FULL",
	"DeleteBuildJob JobId": "$FRESH", "DeleteTheJob JobId": "$FRESH", "DisableBuildJob JobId": "$FRESH", "DisableTheJob JobId": "$FRESH", "EnableBuildJob JobId": "$FRESH",
	"StopBuildJob JobId": "$RUNNING", "StopTheJob JobId": "$RUNNING", "ShowDisable JobId": "$DISABLED", "DeleteGroup Id": "$NEW_GROUP", "DeleteKeystore KeystoreId": "$NEW_FILE",
	"DeleteTemplate Uuid": "$NEW_TEMPLATE", "DeleteTemplates Uuid": "$NEW_TEMPLATE", "AddFavouriteOfficialTemplate Uuid": "$OFFICIAL", "RemoverFavouriteOfficialTemplate Uuid": "$OFFICIAL",
	"ShowListPeriodHistory StartTime": "$YESTERDAY", "ShowListPeriodHistory EndTime": "$TOMORROW", "ShowJobSuccessRatio StartTime": "$YESTERDAY", "ShowJobSuccessRatio EndTime": "$TOMORROW",
}

// fill replaces words with a dollar sign.
func (w *world) fill(text, robot string) string {
	now := time.Now()
	day := func(d int) time.Time { return now.AddDate(0, 0, d) }
	for word, value := range map[string]func() string{
		"$FLOW_RECORD": w.is(w.flowRecord), "$BUILD_PROJECT": w.is(w.buildProject), "$PROJECT": w.is(w.s.Project), "$RECORD": w.is(w.record), "$DOMAIN": w.is(w.domain),
		"$JOB": w.is(w.job), "$FULL": w.is(w.full), "$ARCH": w.is(servertest.Arch), "$IMAGE": w.is(w.image), "$ROOT": w.is(w.root), "$FILE": w.is(w.file), "$TEMPLATE": w.is(w.template),
		"$OFFICIAL": w.is(w.official), "$GROUP": w.is(w.groups[0]), "$OTHER_GROUP": w.is(w.groups[1]), "$REPO": w.is(w.repo), "$ROBOT": w.is(robot),
		"$YESTERDAY_TIME": w.is(day(-1).Format("2006-01-02 15:04:05")), "$TOMORROW_TIME": w.is(day(1).Format("2006-01-02 15:04:05")),
		"$YESTERDAY": w.is(day(-1).Format("2006-01-02")), "$TOMORROW": w.is(day(1).Format("2006-01-02")),
		"$FRESH": w.freshTask, "$RUNNING": w.runningTask, "$DELETED": w.deletedTask, "$GRANT": w.makeGrant, "$NEW_GROUP": func() string { return w.makeGroup("") }, "$NEW_TEMPLATE": w.makeTemplate,
		"$NEW_FILE": func() string { return w.makeFile(w.name("file") + ".pem") },
		"$NAME":     func() string { return w.name("name") },
		"$USER":     func() string { return w.s.NewUser(w.name("user")).ID },
		"$DISABLED": func() string {
			job := w.freshTask()
			w.must(w.sdk.DisableBuildJob(disable(job)))
			return job
		},
	} {
		// Whole words only: one may begin like another.
		if text == word || strings.Contains(text, word+`"`) {
			v := value()
			if text == word {
				return v
			}
			text = strings.ReplaceAll(text, `"`+word+`"`, `"`+v+`"`)
		}
	}
	return text
}

func (w *world) is(value string) func() string { return func() string { return value } }

// request makes the request of an operation from the tables.
func (w *world) request(operation string, t reflect.Type, robot string) reflect.Value {
	w.t.Helper()
	in := reflect.New(t)
	if operation == "UploadKeystore" {
		return reflect.ValueOf(w.upload("more.pem"))
	}
	for i := range t.NumField() {
		name, field := t.Field(i).Name, in.Elem().Field(i)
		if name == "Body" {
			body, ok := bodies[operation]
			if !ok {
				w.t.Errorf("%s needs a body", operation)
				continue
			}
			if err := json.Unmarshal([]byte(w.fill(body, robot)), field.Addr().Interface()); err != nil {
				w.t.Errorf("%s: %v", operation, err)
			}
			continue
		}
		if field.Kind() == reflect.Pointer && fields[operation+" "+name] == "" && name != "BuildNo" {
			continue // optional
		}
		value, ok := fields[operation+" "+name]
		if !ok {
			value, ok = fields[name]
		}
		if !ok {
			w.t.Errorf("%s needs a value for %s", operation, name)
		}
		value = w.fill(value, robot)
		if field.Kind() == reflect.Pointer {
			field.Set(reflect.New(field.Type().Elem()))
			field = field.Elem()
		}
		if field.Kind() == reflect.String {
			field.SetString(value)
		} else if _, err := fmt.Sscan(value, field.Addr().Interface()); err != nil {
			w.t.Errorf("%s: %s: %v", operation, name, err)
		}
	}
	return in
}
