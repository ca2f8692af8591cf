/** The names of what the API shows, as pages use them. All come from the OpenAPI document. */
import type { components } from "./schema.gen";

type Schemas = components["schemas"];

export type Event = Schemas["Event"];
export type Delivery = Schemas["Delivery"];
export type Attempt = Schemas["Attempt"];
export type Explanation = Schemas["Page_Explanation"]["data"][number];
export type Overview = Schemas["Overview"];
export type Series = Schemas["Series"];
export type SeriesPoint = Schemas["SeriesPoint"];
export type Window = Schemas["Window"];
export type Trouble = Schemas["Trouble"];
export type Subscription = Schemas["Subscription"];
export type Health = Schemas["Health"];
export type Job = Schemas["Job"];
export type System = Schemas["System"];
export type Actor = Schemas["Actor"];
export type Load = Schemas["Load"];
export type Installation = Schemas["Installation"];
export type InstalledNode = Schemas["InstalledNode"];
export type Setting = Schemas["Setting"];
export type ApiKey = Schemas["ApiKey"];
export type NewKey = Schemas["NewKey"];
export type Tenant = Schemas["Tenant"];
export type TenantChange = Schemas["TenantChange"];
export type LiveSecret = Schemas["LiveSecret"];
export type EventType = Schemas["EventType"];
export type AuditEntry = Schemas["AuditEntry"];
export type NewSubscription = Schemas["NewSubscription"];
export type SubscriptionChange = Schemas["SubscriptionChange"];
export type Runtime = Schemas["Runtime"];
export type RetryPolicy = Schemas["RetryPolicy"];
export type SubscriptionStats = Schemas["SubscriptionStats"];
export type TestSend = Schemas["TestSend"];
export type JobPreview = Schemas["JobPreview"];
export type HistoryEntry = Schemas["Page_HistoryEntry"]["data"][number];
