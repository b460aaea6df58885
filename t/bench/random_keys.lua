-- SPDX-License-Identifier: Apache-2.0
-- For wrk: each request with another of the session keys in a file. Arguments: the file.
local keys = {}

function init(args)
    for line in io.lines(args[1]) do
        keys[#keys + 1] = line
    end
    math.randomseed(os.time())
end

function request()
    wrk.headers["Cookie"] = "sessionid=" .. keys[math.random(#keys)]
    return wrk.format()
end
