/**
 * RFC 7396 on the texts of documents as `JSON.stringify` prints them, without a space between: what a patch does not
 * name stays as it was, byte for byte. A key is printed in one way only, so its text can be compared.
 */
export const DOCUMENTS = String.raw`
local QUOTE, BRACE, BRACKET = 34, 123, 91

local function string_end(json, start)
  local i = start + 1
  while true do
    i = string.find(json, '["\\]', i)
    if string.byte(json, i) == QUOTE then return i end
    i = i + 2
  end
end

-- The last byte of the value that begins at a place.
local function value_end(json, start)
  local kind = string.byte(json, start)
  if kind == QUOTE then return string_end(json, start) end
  if kind ~= BRACE and kind ~= BRACKET then
    return (string.find(json, '[,}%]]', start) or #json + 1) - 1
  end
  local depth, i = 0, start
  while true do
    i = string.find(json, '["%[%]{}]', i)
    local byte = string.byte(json, i)
    if byte == QUOTE then
      i = string_end(json, i)
    elseif byte == BRACE or byte == BRACKET then
      depth = depth + 1
    else
      depth = depth - 1
      if depth == 0 then return i end
    end
    i = i + 1
  end
end

local function each_member(json, visit)
  local i = 2
  while string.byte(json, i) == QUOTE do
    local key_end = string_end(json, i)
    local last = value_end(json, key_end + 2)
    visit(string.sub(json, i, key_end), string.sub(json, key_end + 2, last))
    i = last + 2
  end
end

local function merged(target, patch)
  if string.byte(patch) ~= BRACE then return patch end
  local order, values = {}, {}
  if target and string.byte(target) == BRACE then
    each_member(target, function(key, value)
      order[#order + 1] = key
      values[key] = value
    end)
  end
  each_member(patch, function(key, value)
    if value == 'null' then
      values[key] = nil
    else
      if values[key] == nil then order[#order + 1] = key end
      values[key] = merged(values[key], value)
    end
  end)
  local parts = {}
  for _, key in ipairs(order) do
    if values[key] ~= nil then parts[#parts + 1] = key .. ':' .. values[key] end
  end
  return '{' .. table.concat(parts, ',') .. '}'
end
`;
