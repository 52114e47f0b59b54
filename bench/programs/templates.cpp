// SPDX-License-Identifier: MIT
// Much of the C++ library's headers, and some templates of its own: what a compiler allocates for.
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

template <int N> struct chain {
    std::map<std::string, std::vector<std::tuple<int, chain<N - 1>>>> links;
    std::variant<int, std::string, std::vector<double>> value;
    int depth() const {
        return 1 + chain<N - 1>().depth();
    }
};
template <> struct chain<0> {
    int depth() const {
        return 0;
    }
};

template <typename T> T sum_of(const std::vector<T> &values) {
    return std::accumulate(values.begin(), values.end(), T());
}

int use(const std::string &text) {
    std::regex words("([a-z]+)([0-9]*)");
    std::unordered_map<std::string, std::shared_ptr<chain<20>>> all;
    for (std::sregex_iterator it(text.begin(), text.end(), words), end; it != end; ++it)
        all[it->str(1)] = std::make_shared<chain<20>>();
    std::vector<std::function<int(int)>> steps;
    for (int i = 0; i < 10; i++)
        steps.push_back([i](int x) { return x * i + 1; });
    int n = 0;
    for (auto &step : steps)
        n = step(n);
    std::ostringstream out;
    out << n << sum_of(std::vector<double>{1, 2, 3}) << sum_of(std::vector<long>{1, 2})
        << chain<20>().depth();
    return (int)(all.size() + out.str().size());
}
