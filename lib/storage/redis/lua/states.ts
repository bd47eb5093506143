/** The conversation state: a text beside its device, whose version stays when the document goes. */
export const STATES = String.raw`
local function view_state(device)
  local state = device and call('GET', at(device.id, 'state'))
  if not state then return { now = now } end
  return { now = now, state = state, version = device.stateVersion, updatedAt = device.stateUpdatedAt }
end

-- Each writing draws a version, the removal of a document too.
local function write_state(device, state)
  if state then call('SET', at(device.id, 'state'), state) else call('DEL', at(device.id, 'state')) end
  device.stateVersion = draw_fence()
  device.stateUpdatedAt = now
end
`;
