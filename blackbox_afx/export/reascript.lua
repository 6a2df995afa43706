-- What follows builds the session above in REAPER's current project, as one undo step.

local notes = {}

local function note(...)
  notes[#notes + 1] = string.format(...)
end

-- Files are named as seen from this script, or absolutely.
local _, script = reaper.get_action_context()
local folder = (script or ""):match("^(.*[/\\])") or ""

local function path_of(file)
  return (file:match("^[/\\]") or file:match("^%a:")) and file or folder .. file
end

local function add_clip(track, clip)
  local path = path_of(clip.file)
  if not reaper.file_exists(path) then
    error("the recording " .. path .. " is not there; keep it where it was, or run the export again", 0)
  end
  local item = reaper.AddMediaItemToTrack(track)
  local take = reaper.AddTakeToMediaItem(item)
  reaper.SetMediaItemTake_Source(take, reaper.PCM_Source_CreateFromFile(path))
  reaper.GetSetMediaItemTakeInfo_String(take, "P_NAME", clip.name, true)
  reaper.SetMediaItemTakeInfo_Value(take, "D_STARTOFFS", clip.offset)
  reaper.SetMediaItemTakeInfo_Value(take, "D_VOL", clip.gain)
  reaper.SetMediaItemInfo_Value(item, "D_POSITION", clip.start)
  reaper.SetMediaItemInfo_Value(item, "D_LENGTH", clip.length)
  reaper.SetMediaItemInfo_Value(item, "B_LOOPSRC", 0)
  -- REAPER fades new items in and out; our render has no fades.
  for _, key in ipairs({ "D_FADEINLEN", "D_FADEOUTLEN" }) do
    reaper.SetMediaItemInfo_Value(item, key, 0)
    reaper.SetMediaItemInfo_Value(item, key .. "_AUTO", -1)
  end
end

local function add_plugin(track, plugin)
  for _, name in ipairs(plugin.names) do
    local fx = reaper.TrackFX_AddByName(track, name, false, -1)
    if fx >= 0 then
      local _, found = reaper.TrackFX_GetFXName(track, fx, "")
      if found:sub(1, #plugin.prefix) == plugin.prefix then return fx end
      reaper.TrackFX_Delete(track, fx)
    end
  end
  error("REAPER does not know the plugin " .. plugin.names[1] .. "; install it, or scan for plugins again", 0)
end

-- By its place in the plugin's list where the name there agrees, else by name.
local function find(track, fx, control)
  local function name_at(index)
    local _, name = reaper.TrackFX_GetParamName(track, fx, index, "")
    return name
  end
  local count = reaper.TrackFX_GetNumParams(track, fx)
  if control.index < count and name_at(control.index) == control.name then return control.index end
  for index = 0, count - 1 do
    if name_at(index) == control.name then return index end
  end
end

local function draw(track, fx, index, lane, native)
  local envelope = reaper.GetFXEnvelope(track, fx, index, true)
  reaper.DeleteEnvelopePointRange(envelope, -1, lane.times[#lane.times] + 1)
  local values = native and lane.plain or lane.raw
  for k, time in ipairs(lane.times) do
    reaper.InsertEnvelopePoint(envelope, time, values[k], lane.shape, 0, false, true)
  end
  reaper.Envelope_SortPoints(envelope)
end

local function set_plugin(track, plugin)
  local fx = add_plugin(track, plugin)
  if plugin.preset and not reaper.TrackFX_SetPreset(track, fx, path_of(plugin.preset)) then
    note("%s: REAPER did not take %s; only the controls listed in this script are set", plugin.label, plugin.preset)
  end
  for _, control in ipairs(plugin.controls) do
    local index = find(track, fx, control)
    if index then
      -- VST parameters go from 0 to 1; those of LV2 may go from their lowest to their highest plain value.
      local _, low, high = reaper.TrackFX_GetParam(track, fx, index)
      local native = control.plain ~= nil and not (low == 0 and high == 1)
      if native then
        reaper.TrackFX_SetParam(track, fx, index, control.plain)
      else
        reaper.TrackFX_SetParamNormalized(track, fx, index, control.raw)
      end
      if control.lane then draw(track, fx, index, control.lane, native) end
    else
      note("%s: REAPER shows no parameter '%s'; it was not set", plugin.label, control.name)
    end
  end
  for _, pin in ipairs(plugin.pins or {}) do
    reaper.TrackFX_SetPinMappings(track, fx, pin.output, pin.number, pin.mask, 0)
  end
  reaper.TrackFX_SetEnabled(track, fx, not plugin.bypassed)
end

local function build()
  for _, wanted in ipairs(session.tracks) do
    local number = reaper.CountTracks(0)
    reaper.InsertTrackAtIndex(number, true)
    local track = reaper.GetTrack(0, number)
    reaper.GetSetMediaTrackInfo_String(track, "P_NAME", wanted.name, true)
    reaper.SetMediaTrackInfo_Value(track, "B_MUTE", wanted.muted and 1 or 0)
    for _, clip in ipairs(wanted.clips) do add_clip(track, clip) end
    for _, plugin in ipairs(wanted.plugins) do set_plugin(track, plugin) end
  end
end

reaper.Undo_BeginBlock()
reaper.PreventUIRefresh(1)
local done, problem = pcall(build)
reaper.PreventUIRefresh(-1)
reaper.TrackList_AdjustWindows(false)
reaper.UpdateArrange()
reaper.Undo_EndBlock("blackbox_afx: " .. session.name, -1)
if not done then note("%s (undo takes back what was made so far)", tostring(problem)) end
if #notes > 0 then reaper.ShowMessageBox(table.concat(notes, "\n"), "blackbox_afx", 0) end
