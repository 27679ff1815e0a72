// The explorer: every operation of the server's own OpenAPI document, with a form that sends it and programs that do the same.

import { address, languages, sample } from "./samples.js";

const view = document.getElementById("view");
const token = document.getElementById("token");
const search = document.getElementById("search");
const notice = document.getElementById("notice");
const dialog = document.getElementById("sign-in");

// element makes an element. Texts become text nodes, never markup.
function element(name, properties, ...children) {
  const e = Object.assign(document.createElement(name), properties);
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

const [specification, table] = await Promise.all(["/openapi.json", "/console/sdk.json"].map(async (path) => (await fetch(path)).json()));
const operations = Object.entries(specification.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ ...operation, path, method: method.toUpperCase() })))
  .sort((a, b) => a.operationId.localeCompare(b.operationId));

// resolved follows a reference in the document.
function resolved(schema) {
  return schema?.$ref ? specification.components.schemas[schema.$ref.split("/").pop()] : schema;
}

// The list

function list() {
  const wanted = search.value.trim().toLowerCase();
  const matches = (o) => [o.operationId, o.path, o.summary].some((text) => text.toLowerCase().includes(wanted));
  const parts = specification.tags.flatMap(({ name }) => {
    const links = operations.filter((o) => o.tags[0] === name && matches(o)).map((o) => element("a", {
      href: "#" + o.operationId, title: o.summary, className: o.deprecated ? "quiet" : "", ariaCurrent: o.operationId === location.hash.slice(1) ? "page" : null,
    }, o.operationId));
    return links.length === 0 ? [] : [element("h2", {}, name), ...links];
  });
  document.getElementById("list").replaceChildren(...(parts.length > 0 ? parts : [element("p", { className: "quiet" }, "No operation matches.")]));
}

// The form

// What the usual patterns mean.
const patterns = {
  "^[0-9a-z]{32}$": "32 lower-case letters or digits.", "^[0-9a-z-]{36}$": "36 lower-case letters, digits or hyphens.",
  "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$": "A time such as 2024-12-31 23:59:59.",
};

// rule says in words what a parameter has to be like.
function rule(schema) {
  if (schema.type === "array") return "Several with commas between them. " + rule(schema.items);
  if (schema.enum || schema.type === "boolean") return "";
  if (schema.minimum !== undefined) return `A whole number, ${schema.minimum} to ${schema.maximum}.`;
  if (schema.maxLength) return `At most ${schema.maxLength} characters.`;
  if (schema.pattern) return patterns[schema.pattern] ?? `Must match ${schema.pattern}`;
  return schema.format === "date" ? "A day such as 2024-12-31." : "";
}

function control(schema, name) {
  const choices = schema.enum ?? (schema.type === "boolean" ? ["true", "false"] : null);
  if (!choices) return element("input", { name, spellcheck: false, autocomplete: "off", placeholder: String(schema.default ?? "") });
  return element("select", { name }, element("option", { value: "" }, ""), ...choices.map((c) => element("option", { value: c }, c)));
}

function field(parameter) {
  const name = `${parameter.in} ${parameter.name}`;
  return element("label", { className: "field" },
    element("span", {}, element("code", {}, parameter.name), parameter.required ? element("span", { className: "demanded", title: "mandatory" }, " *") : null,
      parameter.in === "header" ? element("span", { className: "about" }, " header") : null),
    control(parameter.schema, name),
    element("span", { className: "about" }, [parameter.description, rule(parameter.schema)].filter(Boolean).join(" ")));
}

function bodyField(operation) {
  const content = operation.requestBody?.content;
  if (!content) return [];
  if (content["multipart/form-data"]) {
    const schema = content["multipart/form-data"].schema;
    return Object.entries(schema.properties).map(([name, inner]) => element("label", { className: "field" },
      element("code", {}, name), inner.format === "binary" ? element("input", { type: "file", name: "form " + name }) : control(inner, "form " + name)));
  }
  const { schema, example } = content["application/json"];
  const text = JSON.stringify(example ?? outline(schema), null, 2);
  return [element("label", { className: "field" },
    element("span", {}, "Body", operation.requestBody.required ? element("span", { className: "demanded" }, " *") : null),
    element("textarea", { name: "body", spellcheck: false, value: text }))];
}

// outline makes a value of what a schema demands, for a body that has no example.
function outline(schema, depth = 0) {
  const s = resolved(schema) ?? {};
  if (s.allOf) return Object.assign({}, ...s.allOf.map((part) => outline(part, depth)));
  if (s.anyOf) return outline(s.anyOf[0], depth);
  switch ([s.type].flat()[0]) {
    case "object": return Object.fromEntries(Object.entries(s.properties ?? {}).filter(([name]) => depth < 5 || s.required?.includes(name)).map(([name, inner]) => [name, outline(inner, depth + 1)]));
    case "array": return [];
    case "string": return s.enum?.[0] ?? "";
    case "integer": case "number": return s.minimum ?? 0;
    case "boolean": return false;
    default: return depth === 0 ? {} : null;
  }
}

// read returns the request that the form describes. It throws when the body is no JSON.
function read(operation, form) {
  const request = {
    id: operation.operationId, method: operation.method, path: operation.path, origin: location.origin, open: operation.security?.length === 0,
    values: {}, query: {}, headers: {},
  };
  for (const parameter of operation.parameters ?? []) {
    const text = form.elements[`${parameter.in} ${parameter.name}`].value;
    if (text === "" && parameter.in !== "path") continue;
    const types = [parameter.schema.type].flat();
    const value = types.includes("array") ? text.split(",").map((one) => one.trim()) : text;
    ({ path: request.values, query: request.query, header: request.headers })[parameter.in][parameter.name] = value;
  }
  const content = operation.requestBody?.content;
  if (content?.["multipart/form-data"]) {
    request.form = {};
    for (const input of form.elements) {
      if (!input.name.startsWith("form ")) continue;
      const name = input.name.slice(5);
      if (input.type === "file") request.form[name] = input.files[0]?.name ?? "";
      else if (input.value) request.form[name] = input.value;
    }
  } else if (content && form.elements.body.value.trim()) {
    request.body = JSON.parse(form.elements.body.value);
  }
  return request;
}

// The answer

const longest = 500_000; // characters of an answer on screen

function describe(response, took) {
  const good = response.ok ? "good" : "bad";
  return element("div", {},
    element("p", { className: "row" }, element("strong", { className: good, id: "status" }, `${response.status} ${response.statusText}`.trim()), element("span", { className: "quiet" }, `${Math.round(took)} ms`)),
    element("details", {}, element("summary", {}, "Headers"), element("pre", { className: "answer" }, [...response.headers].map(([k, v]) => `${k}: ${v}`).join("\n"))));
}

// stream shows an answer that goes on, until it ends or is stopped.
async function stream(response, pre) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) pre.append(part.value);
}

async function showAnswer(response, took, place) {
  const pre = element("pre", { className: "answer", id: "answer", tabIndex: 0, ariaLabel: "Answer" });
  place.replaceChildren(element("h2", {}, "Answer"), describe(response, took), pre);
  const kind = response.headers.get("Content-Type") ?? "";
  if (kind.startsWith("text/event-stream")) return stream(response, pre);
  if (kind.startsWith("application/octet-stream")) {
    const file = await response.blob();
    const name = /filename="?([^";]+)/.exec(response.headers.get("Content-Disposition") ?? "")?.[1] ?? "answer";
    pre.replaceWith(element("p", {}, `${file.size} bytes. `, element("a", { href: URL.createObjectURL(file), download: name, id: "answer" }, `Save ${name}`)));
    return undefined;
  }
  let text = await response.text();
  if (kind.startsWith("application/json") && text) text = JSON.stringify(JSON.parse(text), null, 2);
  pre.textContent = text.length > longest ? text.slice(0, longest) + `\n… ${text.length - longest} more characters` : text || "The answer is empty.";
  return undefined;
}

// Everything of one operation

let leave = new AbortController();

function show() {
  leave.abort();
  leave = new AbortController();
  list();
  const operation = operations.find((o) => o.operationId === location.hash.slice(1));
  document.title = (operation ? operation.operationId + " – " : "") + "API explorer – Atelier";
  if (!operation) {
    view.replaceChildren(element("h1", {}, "API explorer"), element("p", {},
      `${operations.length} operations. Choose one to see what it takes and answers, to send it to this server, and to get a program that does the same.`));
    return;
  }
  const form = element("form", {}, ...(operation.parameters ?? []).map(field), ...bodyField(operation));
  const send = element("button", { type: "submit", id: "send" }, "Send");
  const stop = element("button", { type: "button", hidden: true }, "Stop");
  const wrong = element("span", { className: "bad", role: "alert", id: "wrong" });
  form.append(element("div", { className: "row" }, send, stop, wrong));
  if (form.children.length === 1) form.prepend(element("p", { className: "quiet" }, "It takes nothing."));
  const code = element("pre", { id: "code", tabIndex: 0, ariaLabel: "Program" });
  const answer = element("section", { ariaLabel: "Answer", ariaLive: "polite" });

  const program = () => {
    try {
      const request = read(operation, form);
      code.textContent = sample(localStorage.getItem("language") ?? "go", request, table);
      wrong.textContent = "";
    } catch {
      wrong.textContent = "The body is no JSON.";
    }
  };
  form.addEventListener("input", program);
  stop.addEventListener("click", () => leave.abort());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    program();
    if (wrong.textContent) return;
    leave.abort();
    leave = new AbortController();
    const { signal } = leave;
    send.disabled = true;
    stop.hidden = false;
    try {
      await exchange(read(operation, form), form, answer, signal);
    } catch (error) {
      if (!signal.aborted) wrong.textContent = error.message;
    } finally {
      send.disabled = false;
      stop.hidden = true;
    }
  });

  view.replaceChildren(
    element("h1", {}, operation.operationId, " ", ...marks(operation)),
    element("p", { className: "route" }, element("span", { className: "method" }, operation.method), operation.path),
    element("p", {}, operation.summary),
    element("div", { className: "panes" },
      element("section", { ariaLabel: "Request" }, element("h2", {}, "Request"), form, answer),
      element("section", { ariaLabel: "Programs and errors" }, element("h2", {}, "Program"), tabs(code, program), code, ...errors(operation), ...shape(operation))));
  program();
  if (matchMedia("(max-width: 60rem)").matches) view.scrollIntoView();
  else scrollTo(0, 0);
}

function marks(operation) {
  const words = { outdated: "outdated at the vendor, stays here", retiring: "retiring at the vendor, stays here", own: "Atelier's own" };
  const text = words[operation["x-vendor-state"]];
  return text ? [element("span", { className: "mark" }, text)] : [];
}

// exchange sends a request and shows what comes back.
async function exchange(request, form, place, signal) {
  const headers = { ...request.headers };
  if (token.value && !request.open) headers["X-Auth-Token"] = token.value;
  let body;
  if (request.form) {
    body = new FormData();
    for (const input of form.elements) {
      if (!input.name.startsWith("form ")) continue;
      const value = input.type === "file" ? input.files[0] : input.value;
      if (value) body.append(input.name.slice(5), value);
    }
  } else if (request.body !== undefined) {
    body = JSON.stringify(request.body);
    headers["Content-Type"] = "application/json";
  }
  const began = performance.now();
  const response = await fetch(address(request), { method: request.method, headers, body, signal });
  await showAnswer(response, performance.now() - began, place);
}

function tabs(code, program) {
  const bar = element("div", { className: "tabs", role: "tablist" });
  const mark = () => bar.querySelectorAll("[role=tab]").forEach((tab) => tab.setAttribute("aria-selected", tab.dataset.language === (localStorage.getItem("language") ?? "go")));
  for (const [id, name] of Object.entries(languages)) {
    const tab = element("button", { type: "button", role: "tab" }, name);
    tab.dataset.language = id;
    tab.addEventListener("click", () => { localStorage.setItem("language", id); mark(); program(); });
    bar.append(tab);
  }
  const copy = element("button", { type: "button", className: "copy" }, "Copy");
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent);
    copy.textContent = "Copied";
  });
  bar.append(copy);
  mark();
  return bar;
}

function errors(operation) {
  const rows = Object.entries(operation.responses).filter(([status]) => status >= 400)
    .map(([status, answer]) => element("tr", {}, element("td", {}, status), element("td", {}, ...(answer["x-error-codes"] ?? []).flatMap((c) => [element("code", {}, c), " "]))));
  return [element("h2", {}, "Errors"), element("table", {}, element("tbody", {}, ...rows))];
}

// shape shows an answer that was recorded, if there is one.
function shape(operation) {
  const [status, answer] = Object.entries(operation.responses).find(([code]) => code < 300);
  const example = answer.content?.["application/json"]?.example;
  return example === undefined ? [] : [element("h2", {}, `Example of an answer (${status})`), element("pre", {}, JSON.stringify(example, null, 2))];
}

// The token is kept as the console keeps it, so who is signed in there is here too.

token.value = sessionStorage.getItem("token") ?? "";
token.addEventListener("input", () => sessionStorage.setItem("token", token.value));
document.getElementById("sign-in-open").addEventListener("click", () => dialog.showModal());
document.getElementById("sign-in-cancel").addEventListener("click", () => dialog.close());
dialog.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { domain, user, password } = Object.fromEntries(new FormData(event.target));
  const response = await fetch("/v3/auth/tokens", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ auth: {
      identity: { methods: ["password"], password: { user: { name: user, password, domain: { name: domain } } } },
      scope: { project: { name: event.target.dataset.region } },
    } }),
  });
  notice.hidden = response.ok;
  if (!response.ok) {
    const answer = await response.json();
    notice.textContent = answer.error?.message ?? answer.error_msg ?? "You could not be signed in.";
    return;
  }
  token.value = response.headers.get("X-Subject-Token");
  sessionStorage.setItem("token", token.value);
  sessionStorage.setItem("user", user);
  event.target.elements.password.value = "";
  dialog.close();
});

search.addEventListener("input", list);
addEventListener("hashchange", show);
show();
