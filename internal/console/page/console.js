// The console: four views, chosen by what stands behind # in the address. Everything comes from the public API.

const view = document.getElementById("view");
const notice = document.getElementById("notice");
const session = {
  get token() { return sessionStorage.getItem("token"); },
  get user() { return sessionStorage.getItem("user"); },
  begin(token, user) { sessionStorage.setItem("token", token); sessionStorage.setItem("user", user); },
  end() { sessionStorage.clear(); },
  // The token does not work any more after this, nor does what was got with it.
  revoke() {
    const headers = { "X-Auth-Token": this.token, "X-Subject-Token": this.token };
    fetch("/v3/auth/tokens", { method: "DELETE", headers, keepalive: true }).catch(() => {}); // it expires by itself
    this.end();
  },
};

// leave ends what the view on screen still has under way.
let leave = new AbortController();

// element makes an element. Texts become text nodes, never markup.
function element(name, properties, ...children) {
  const e = Object.assign(document.createElement(name), properties);
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

class SignedOut extends Error {}

// api calls an operation and returns the decoded answer.
async function api(path, body) {
  const response = await fetch(path, {
    method: body ? "POST" : "GET",
    headers: { "X-Auth-Token": session.token, "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
    signal: leave.signal,
  });
  const answer = await response.json();
  if (response.status === 401) throw new SignedOut();
  if (!response.ok) throw new Error(answer.error_msg || response.statusText);
  return answer;
}

function pause(milliseconds) {
  const { signal } = leave;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); });
  });
}

function table(heads, rows, none) {
  if (rows.length === 0) return element("p", { className: "quiet" }, none);
  return element("table", {},
    element("thead", {}, element("tr", {}, ...heads.map((h) => element("th", { scope: "col" }, h)))),
    element("tbody", {}, ...rows.map((cells) => element("tr", {}, ...cells.map((c) => element("td", {}, c ?? ""))))));
}

const link = (href, text) => element("a", { href }, text);
const state = (word) => element("span", { className: word }, word.toLowerCase().replace("_", " "));
const time = (text) => (text ? new Date(text).toLocaleString() : "");

async function signIn() {
  const form = document.getElementById("sign-in").content.cloneNode(true).querySelector("form");
  view.replaceChildren(form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { domain, user, password } = Object.fromEntries(new FormData(form));
    const response = await fetch("/v3/auth/tokens", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ auth: {
        identity: { methods: ["password"], password: { user: { name: user, password, domain: { name: domain } } } },
        scope: { project: { name: form.dataset.region } },
      } }),
    });
    if (!response.ok) {
      const answer = await response.json();
      tell(answer.error_msg || answer.error?.message || "You could not be signed in.");
      return;
    }
    session.begin(response.headers.get("X-Subject-Token"), user);
    show();
  });
}

const words = { none: "never built", building: "running", blue: "success", red: "failure", aborted: "aborted", timeout: "timeout" };
const classes = { blue: "SUCCESS", red: "FAILURE", timeout: "TIMEOUT" };

async function tasks() {
  const { result } = await api("/v1/job/list?page_index=0&page_size=100");
  const rows = result.job_list.map((job) => [
    link("#/" + job.id, job.job_name), job.project_name,
    element("span", { className: classes[job.last_build_status] ?? "" }, words[job.last_build_status] ?? job.last_build_status),
    job.last_build_time ? time(job.last_build_time) : "",
    job.is_execute ? run(job.id) : "",
  ]);
  view.replaceChildren(element("h1", {}, "Build tasks"),
    table(["Task", "Project", "Last build", "At", ""], rows, "There are no build tasks that you may see."));
}

function run(job) {
  const button = element("button", { type: "button" }, "Run");
  button.addEventListener("click", () => attempt(async () => {
    const started = await api("/v3/jobs/build", { job_id: job });
    location.hash = "#/" + job + "/" + started.actual_build_number;
  }));
  return button;
}

async function builds(job) {
  const [config, history] = await Promise.all([
    api("/v1/job/" + job + "/config"), api("/v3/jobs/" + job + "/history?offset=0&limit=100&interval=30"),
  ]);
  const rows = history.history_records.map((r) => [
    link("#/" + job + "/" + r.build_number, "#" + r.build_number), state(r.result), time(r.start_time), time(r.end_time),
  ]);
  view.replaceChildren(element("h1", {}, config.result.job_name), run(job),
    element("h2", {}, "Builds of the last 30 days"), table(["Build", "Result", "Started", "Ended"], rows, "There are none."));
}

async function build(job, number) {
  const path = "/v3/jobs/" + job + "/" + number;
  const facts = element("dl");
  const log = element("pre", { tabIndex: 0, ariaLabel: "Log" });
  const stop = element("button", { type: "button" }, "Stop");
  stop.addEventListener("click", () => attempt(() => api(path + "/stop", {})));
  view.replaceChildren(element("h1", {}, "Build ", element("span", {}, "#" + number), " of ", link("#/" + job, "this task")), facts, stop, log);
  for (let offset = 0; ;) {
    // In this order: the log of a build that is over is complete.
    const { result: record } = await api(path + "/record-info");
    const { result: part } = await api(path + "/real-time-log?offset=" + offset);
    log.append(part.content);
    offset = part.offset;
    describe(facts, record);
    stop.hidden = !["QUEUED", "RUNNING"].includes(record.status);
    if (!part.has_more_data && stop.hidden) return;
    if (part.content === "") await pause(500);
  }
}

function describe(facts, record) {
  const entries = [
    ["Result", state(record.status)], ["Reason", record.errMsg], ["Branch", record.branch], ["Tag", record.tag], ["Commit", record.commit],
    ["Message", record.commitMessage], ["Started", time(record.startTime)], ["Ended", time(record.finishTime)],
  ];
  facts.replaceChildren(...entries.filter(([, value]) => value).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

function tell(text) {
  notice.textContent = text;
  notice.hidden = !text;
}

// attempt runs work and tells what went wrong, unless somebody has gone elsewhere.
async function attempt(work) {
  const { signal } = leave;
  try {
    await work();
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof SignedOut) {
      session.end();
      show();
    } else {
      tell(error.message);
    }
  }
}

function show() {
  leave.abort();
  leave = new AbortController();
  tell("");
  document.getElementById("who").textContent = session.user ?? "";
  document.getElementById("sign-out").hidden = !session.token;
  const [job, number] = location.hash.slice(2).split("/").map(encodeURIComponent);
  attempt(() => {
    if (!session.token) return signIn();
    if (!job) return tasks();
    return number ? build(job, number) : builds(job);
  });
}

document.getElementById("sign-out").addEventListener("click", () => { session.revoke(); show(); });
addEventListener("hashchange", show);
show();
