// SPDX-License-Identifier: MIT
//
// Holds QEMU's devices to the contract, and the contract to its tests: a row
// that nothing checks, or that names a test which isn't there, fails.
#include "contract.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>

using namespace qtest;

namespace qtest {

void Contract::SetUp() {
    RigTest::SetUp();
    if (!IsSkipped()) {
        open(kind(), transport(), true);
    }
}

void Contract::TearDown() {
    exchange_.reset();
    RigTest::TearDown();
}

void Contract::useLine() {
    open(kind(), transport(), false);
}

void Contract::useOther(const std::string &properties) {
    openFresh(kind(), transport(), true, properties);
}

Exchange &Contract::start(UINT64 features) {
    exchange_ = Exchange::of(*rig, *dev);
    Ring ring;
    ring.features = features;
    exchange_->start(ring);
    return *exchange_;
}

std::vector<Row> contractRows() {
    std::vector<Row> all;
    for (const auto &part : {pciRows(), transportRows(), statusRows(), queueRows()}) {
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

void PrintTo(const Row &row, std::ostream *out) {
    *out << row.id;
}

} // namespace qtest

namespace {

TEST_P(Contract, Row) {
    std::get<0>(GetParam()).check(*this);
}

std::vector<std::tuple<Row, Kind, Transport>> everyCase() {
    std::vector<std::tuple<Row, Kind, Transport>> all;
    for (const Row &row : contractRows()) {
        for (Kind kind : Kinds) {
            for (Transport transport : Transports) {
                if (row.of == Of::AnyDevice ||
                    (row.of == Of::ModernInterface) == isModern(transport)) {
                    all.push_back({row, kind, transport});
                }
            }
        }
    }
    return all;
}

INSTANTIATE_TEST_SUITE_P(All, Contract, testing::ValuesIn(everyCase()), [](const auto &i) {
    std::string text = std::string(std::get<0>(i.param).id) + "_" + name(std::get<1>(i.param)) +
                       "_" + name(std::get<2>(i.param));
    std::replace(text.begin(), text.end(), '-', '_');
    return text;
});

std::string contents(const std::filesystem::path &path) {
    std::ifstream file(path);
    EXPECT_TRUE(file.is_open()) << path;
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

const std::filesystem::path Root = VQ7_ROOT;

// The last column of each row that has an identifier, by that.
std::map<std::string, std::string> documentRows() {
    std::map<std::string, std::string> rows;
    std::istringstream text(contents(Root / "docs/windows7-virtio-driver-contract.md"));
    const std::regex row(R"(\| *(C-[A-Z]+-[0-9]+) *\|.*\|([^|]*)\| *)");
    std::string line;
    while (std::getline(text, line)) {
        std::smatch found;
        if (std::regex_match(line, found, row)) {
            EXPECT_TRUE(rows.emplace(found[1], found[2]).second) << found[1] << " is there twice";
        } else {
            EXPECT_EQ(line.find("| C-"), std::string::npos) << "not a row: " << line;
        }
    }
    return rows;
}

// Names of tests, "Suite.Name" and "e2e/tests/test_x.py:test_y".
std::set<std::string> testNames() {
    std::set<std::string> names;
    const std::regex gtest(R"(\bTEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\))");
    const std::regex pytest(R"((?:^|\n)def (test_\w+)\()");
    auto scan = [&](const std::filesystem::path &path, const std::regex &pattern,
                    const std::string &prefix) {
        const std::string text = contents(path);
        for (std::sregex_iterator i(text.begin(), text.end(), pattern), end; i != end; ++i) {
            names.insert(prefix.empty() ? (*i)[1].str() + "." + (*i)[2].str()
                                        : prefix + ":" + (*i)[1].str());
        }
    };
    for (const auto &file : std::filesystem::recursive_directory_iterator(Root / "unit")) {
        if (file.path().string().ends_with("_test.cpp")) {
            scan(file.path(), gtest, "");
        }
    }
    for (const auto &file : std::filesystem::directory_iterator(Root / "e2e/tests")) {
        if (file.path().extension() == ".py") {
            scan(file.path(), pytest, "e2e/tests/" + file.path().filename().string());
        }
    }
    return names;
}

TEST(ContractDocument, EveryCheckHasItsRow) {
    auto rows = documentRows();
    ASSERT_GT(rows.size(), 40u);
    std::set<std::string> checks;
    for (const Row &row : contractRows()) {
        EXPECT_TRUE(checks.insert(row.id).second) << row.id << " is checked twice";
        ASSERT_TRUE(rows.count(row.id)) << row.id << " is checked, and not in the document";
        EXPECT_NE(rows[row.id].find("`contract`"), std::string::npos)
            << row.id << ": the document doesn't say that it is checked here";
    }
    for (const auto &[id, by] : rows) {
        if (by.find("`contract`") != std::string::npos) {
            EXPECT_TRUE(checks.count(id)) << id << " has no check here";
        }
    }
}

TEST(ContractDocument, EveryRowIsCheckedByATestThatExists) {
    const std::set<std::string> tests = testNames();
    ASSERT_GT(tests.size(), 200u);
    const std::regex quoted("`([^`]*)`");
    for (const auto &[id, by] : documentRows()) {
        unsigned named = 0;
        for (std::sregex_iterator i(by.begin(), by.end(), quoted), end; i != end; ++i) {
            const std::string test = (*i)[1];
            EXPECT_TRUE(test == "contract" || tests.count(test)) << id << ": no test " << test;
            named++;
        }
        EXPECT_NE(named, 0u) << id << " is checked by nothing";
    }
}

} // namespace
