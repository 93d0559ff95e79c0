// The gas of transactions is part of the interface: a change fails here until `npm run gas` stores
// it.
import assert from "node:assert/strict";
import { it } from "node:test";
import { measure, readSnapshot } from "../scripts/gas.js";

it("costs what the snapshot says", async () => {
  assert.deepEqual(await measure(), readSnapshot());
});
