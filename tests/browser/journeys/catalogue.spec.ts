import { rows, toast } from "../support/seen";
import { expect, test } from "../support/test";

test("a type of event is described with a schema, which holds what is sent from then on", async ({ page, admin, own, watch }) => {
  const type = `${own}.created`;
  await page.goto("/ui/event-types");
  await page.getByRole("link", { name: "Describe a type" }).first().click();
  await page.getByRole("textbox", { name: "Type", exact: true }).fill("not a type");
  await page.getByRole("textbox", { name: "Schema" }).fill('{"type":"object","required":["jobId"],"properties":{"jobId":{"type":"string"}}}');
  await page.getByRole("textbox", { name: "Example" }).fill('{"jobId":7}');
  await page.getByRole("button", { name: "Add to the catalogue" }).click();
  await expect(page.getByText("Segments of letters, digits, _ and -, parted by dots")).toBeVisible();
  await page.getByRole("textbox", { name: "Type", exact: true }).fill(type);
  await page.getByRole("textbox", { name: "Description" }).fill("A job was opened.");
  await page.getByRole("button", { name: "Add to the catalogue" }).click();
  await expect(toast(page, `${type} is in the catalogue`)).toBeVisible();

  // The relay itself says whether the example fits: it is asked to take it together with what it
  // cannot take, so that nothing is stored.
  watch.expects(/status of 400 .*\/api\/v1\/events\?atomic=true\)$/);
  await page.getByRole("button", { name: "Check it against the schema" }).click();
  await expect(page.getByText("The relay would refuse the example:")).toBeVisible();
  await page.getByRole("textbox", { name: "Example" }).fill('{"jobId":"7"}');
  await page.getByRole("button", { name: "Check it against the schema" }).click();
  await expect(page.getByText("The relay would take it.")).toBeVisible();
  await page.getByRole("button", { name: "Save" }).click();
  await expect(toast(page, "The type is changed")).toBeVisible();

  expect((await admin.ask("POST", "/api/v1/events", { eventType: type, payload: {} })).status).toBe(400);
  await page.goto("/ui/events/send");
  await page.getByLabel("Type").fill(type);
  await page.getByLabel("Type").press("Enter");
  await page.getByRole("button", { name: "Use the catalogue's example" }).click();
  await expect(page.getByLabel("Payload")).toHaveValue('{\n  "jobId": "7"\n}');
  await page.getByLabel("Payload").fill('{"title":"Engineer"}');
  watch.expects(/status of 400 .*\/api\/v1\/events\)$/);
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await expect(page.getByRole("alert")).toContainText("jobId");

  await page.goto("/ui/event-types");
  await rows(page, "Event types", type).click();
  await page.getByRole("button", { name: "Archive" }).click();
  await expect(page.getByText(/^Archived: where unknown types are refused/)).toBeVisible();
  await toast(page, `${type} is archived`).getByRole("button", { name: "Undo" }).click();
  await expect(toast(page, `${type} is in use again`)).toBeVisible();

  // What was typed is not lost unasked.
  await page.getByRole("textbox", { name: "Description" }).fill("Something else");
  await page.getByRole("link", { name: "Event types" }).first().click();
  await page.getByRole("dialog", { name: "Leave without saving?" }).getByRole("button", { name: "Stay" }).click();
  await page.getByRole("button", { name: "Discard" }).click();
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Delete…" }).click();
  await page.getByRole("dialog").getByRole("textbox").fill(type);
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await toast(page, `${type} is deleted`).getByRole("button", { name: "Undo" }).click();
  await expect(toast(page, `${type} is back`)).toBeVisible();
  await expect(rows(page, "Event types", type)).toBeVisible();
  expect((await admin.get<{ description: string }>(`/api/v1/event-types/${type}`)).description).toBe("A job was opened.");
});

test("a tenant is registered, limited, and set inactive with its keys", async ({ page, admin, own }) => {
  await page.goto("/ui/tenants");
  await page.getByRole("button", { name: "Register a tenant" }).first().click();
  const form = page.getByRole("dialog");
  await form.getByLabel("Id").fill(own);
  await form.getByLabel("Name").fill(`Acme ${own}`);
  await form.getByLabel("Subscriptions", { exact: true }).fill("many");
  await form.getByRole("button", { name: "Register" }).click();
  await expect(form.getByRole("alert")).toBeVisible();
  await form.getByLabel("Subscriptions", { exact: true }).fill("1");
  await form.getByRole("button", { name: "Register" }).click();
  await expect(page.getByRole("heading", { level: 1, name: `Acme ${own}` })).toBeVisible();

  const { key } = await admin.post<{ key: string }>("/api/v1/keys", { name: own, preset: "client", tenant: own });
  const theirs = admin.with(key);
  const hook = { name: own, url: "http://127.0.0.1:9/", eventTypes: [`${own}.*`] };
  expect((await theirs.ask("POST", "/api/v1/subscriptions", hook)).status).toBe(201);
  expect((await theirs.ask("POST", "/api/v1/subscriptions", hook)).status).toBeGreaterThanOrEqual(400);
  await page.reload();
  await expect(page.getByRole("region", { name: "Subscriptions" })).toContainText(own);

  await page.getByRole("button", { name: "Change" }).first().click();
  await form.getByLabel("Subscriptions", { exact: true }).fill("2");
  await form.getByRole("button", { name: "Save" }).click();
  await expect(toast(page, "The tenant is changed")).toBeVisible();
  expect((await theirs.ask("POST", "/api/v1/subscriptions", hook)).status).toBe(201);

  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Set inactive" }).click();
  await expect(page.getByText(/^Every request with its keys is refused/)).toBeVisible();
  await expect(toast(page, `Acme ${own} is inactive now`)).toBeVisible();
  expect((await theirs.ask("GET", "/api/v1/subscriptions")).status).toBe(403);
  await toast(page, `Acme ${own} is inactive now`).getByRole("button", { name: "Undo" }).click();
  await expect(toast(page, `Acme ${own} is active now`)).toBeVisible();
  expect((await theirs.ask("GET", "/api/v1/subscriptions")).status).toBe(200);
});
